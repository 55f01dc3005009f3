"""Dependents through the API, with If-Match."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dashboard.access.models import Person
from dashboard.access.roles import ADMIN
from dashboard.fleet.models import Service
from tests.dashboard.api.operators.conftest import Api

ApiOf = Callable[..., Api]
pytestmark = pytest.mark.django_db
PATH = "/services/shop/dependents"


@pytest.fixture
def admin(person: Callable[[str], Person]) -> Person:
    return person(ADMIN)


def test_they_are_read_and_declared(api_of: ApiOf, admin: Person) -> None:
    Service.objects.create(name="shop")
    api = api_of(admin)
    found = api("GET", PATH)
    assert found.json() == {"dependents": [], "quorum": 1}
    body = {"dependents": ["web", "app"], "quorum": 2}
    assert api("PUT", PATH, body).status_code == 428
    done = api("PUT", PATH, body, If_Match=found["ETag"])
    assert (done.status_code, done.json()["dependents"]) == (200, ["app", "web"])
    stale = api("PUT", PATH, body, If_Match=found["ETag"])
    assert stale.status_code == 412
    bad = api("PUT", PATH, {**body, "quorum": 3}, If_Match=done["ETag"])
    assert [each["field"] for each in bad.json()["errors"]] == ["quorum"]
