"""The REST API keeps to its own OpenAPI document: generated requests get no 5xx and no answer that
the document does not allow (schemathesis). API_EXAMPLES=200 generates more of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import schemathesis
from django.core.cache import cache
from django.core.wsgi import get_wsgi_application
from django.utils import timezone
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from breakers.protocol import messages as wire
from dashboard.access.people import keep_person
from dashboard.access.personal_tokens import SCOPES, create_personal_token
from dashboard.api.operators import routers
from dashboard.api.operators.api import api
from tests.dashboard.web.showing import showing

CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def test_no_two_schemas_share_a_name() -> None:
    """The document would have one of them only."""
    names = [
        found
        for path in Path(routers.__file__).parent.glob("*.py")
        for found in re.findall(r"^class (\w+)\((?:Schema|\w+In|\w+Out)\)", path.read_text(), re.M)
    ]
    assert sorted(names) == sorted(set(names))


schema = schemathesis.openapi.from_dict(api.get_openapi_schema())
schema.app = get_wsgi_application()
# A stream without end; tests/security/test_event_stream.py reads it.
schema = schema.exclude(path="/api/v1/events")


@pytest.fixture
def token(db: None, static_files: None, settings: Any) -> Iterator[str]:
    settings.API_RATE = 10**9
    cache.clear()
    admin = keep_person("admin", ["admin"])
    _, raw = create_personal_token(admin, "t", tuple(SCOPES), timezone.now() + timedelta(days=1))
    with showing() as show:
        show("shop", wire.BreakerReport(name="db", state="closed"))
        yield raw


@schema.parametrize()
@settings(
    max_examples=int(os.environ.get("API_EXAMPLES", "8")),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_an_operation_keeps_to_the_document(case: Any, token: str) -> None:
    own = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
    case.headers = {**(case.headers or {}), **own}
    case.call_and_validate(checks=CHECKS)
