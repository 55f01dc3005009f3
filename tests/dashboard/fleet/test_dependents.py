"""Dependents of a service are declared by those who administer it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client

from dashboard.access.models import AuditEntry, Person
from dashboard.access.roles import ADMIN
from dashboard.fleet.dependents import Declaration, all_declared, declare, declared
from dashboard.fleet.models import Service

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(person: Callable[[str], Person]) -> Person:
    return person(ADMIN)


@pytest.fixture(autouse=True)
def shop(db: None) -> None:
    Service.objects.create(name="shop")


def test_they_are_declared_and_withdrawn(admin: Person) -> None:
    assert declared("shop") is None
    declare(admin, "shop", ["web", "app", "web"], 2)
    assert all_declared() == {"shop": Declaration(("app", "web"), 2)}
    entry = AuditEntry.objects.get(act="dependents declared")
    assert (entry.service, entry.detail["quorum"]) == ("shop", 2)
    declare(admin, "shop", [], 0)
    assert declared("shop") is None
    assert all_declared() == {}


@pytest.mark.parametrize(
    ("service", "dependents", "quorum", "field"),
    [
        ("shop", ["web"], 2, "quorum"),
        ("shop", ["web"], 0, "quorum"),
        ("shop", ["we\u200bb"], 1, "dependents"),
        ("shop", ["shop"], 1, "dependents"),
        ("shop", [f"s{n}" for n in range(101)], 1, "dependents"),
        ("nobody", ["web"], 1, "service"),
    ],
)
def test_what_cannot_be_is_refused_by_field(
    admin: Person, service: str, dependents: list[str], quorum: int, field: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        declare(admin, service, dependents, quorum)
    assert list(refused.value.message_dict) == [field]
    assert all_declared() == {}


def test_an_operator_may_not(operator: Person) -> None:
    with pytest.raises(PermissionDenied):
        declare(operator, "shop", ["web"], 1)


@pytest.mark.usefixtures("static_files")
def test_two_people_on_the_page_overwrite_nothing(admin: Person) -> None:
    client = Client()
    client.force_login(admin)
    page = client.get("/services/shop").content.decode()
    assert "No dependents are declared" in page
    body = {"dependents": "web\napp", "quorum": "2", "seen": ""}
    assert client.post("/services/shop/dependents", body).status_code == 302
    assert declared("shop") == Declaration(("app", "web"), 2)
    mine = {"dependents": "mine", "quorum": "1", "seen": ""}
    refused = client.post("/services/shop/dependents", mine)
    assert refused.status_code == 422
    assert "meanwhile" in refused.content.decode()
    assert declared("shop") == Declaration(("app", "web"), 2)
    seen = 'name="seen" value="2:app,web"'
    page = client.get("/services/shop").content.decode()
    assert seen in page
    assert ">app\nweb</textarea>" in page
