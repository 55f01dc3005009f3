"""The REST API of operators at /api/v1: one NinjaAPI, a router for each noun.

To add an endpoint: write a router in `routers/`, and list it in `ROUTERS`. Operations get
`request.caller` (see `pipeline`) and call the services of the layers below, which check authority
and write the audit trail.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path

from dashboard.api.operators.authentication import TokenAuth
from dashboard.api.operators.openapi import DocumentedApi
from dashboard.api.operators.pipeline import guarded
from dashboard.api.operators.problems import not_found, register
from dashboard.api.operators.routers import ROUTERS
from dashboard.common import url_converters  # noqa: F401 - registers {name:…}

OPENAPI = "operators.json"

api = DocumentedApi(
    title="Switchgear",
    version="1",
    description="Operate circuit breakers: see docs/guide/api.md.",
    # Its address differs from that of the agents' protocol, /api/v1/openapi.json.
    openapi_url=OPENAPI,
    docs_url=None,
    urls_namespace="operators",
    auth=TokenAuth(),
    openapi_extra={"info": {"license": {"name": "MIT"}}},
)
register(api)
for _prefix, _router in ROUTERS.items():
    api.add_router(_prefix.rstrip("/"), _router)


def _unknown(request: HttpRequest, **_: Any) -> HttpResponse:
    raise not_found(f"There is no resource at {request.path[:200]!r}.")


def _url_patterns() -> list[URLPattern]:
    patterns = [each for each in api.urls[0] if isinstance(each, URLPattern)]
    for pattern in patterns:
        view = pattern.callback
        assert view is not None
        pattern.callback = guarded(view)
    return [*patterns, path("<path:rest>", guarded(_unknown))]


# The namespace of the API, see `include` in dashboard/urls.py.
app_name = "operators"
urlpatterns = _url_patterns()
