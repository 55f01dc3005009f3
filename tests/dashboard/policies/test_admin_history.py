"""The admin's history of a policy is that of its versions."""

from __future__ import annotations

import pytest
from django.test import Client

from dashboard.access.models import Person
from dashboard.policies import queries, services
from dashboard.policies.models import BreakerPolicy

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("static_files")]


@pytest.fixture
def admin() -> Person:
    return Person.objects.create(username="ada", is_staff=True, is_superuser=True)


@pytest.fixture
def url(admin: Person) -> str:
    services.save(admin, "shop", "posts", {"timeout": 0.4}, "too slow")
    services.save(admin, "shop", "posts", {"timeout": 0.2}, "still too slow")
    return f"/admin/policies/breakerpolicy/{BreakerPolicy.objects.get().pk}/history/"


def test_it_lists_every_version_with_its_reason(admin: Person, url: str) -> None:
    client = Client()
    client.force_login(admin)
    page = client.get(url).content.decode()
    assert "too slow" in page
    assert "still too slow" in page
    assert "timeout: 0.4 → 0.2" in page
    assert "on 0 of 0 instances" in page


def test_a_version_is_restored_by_one_click(admin: Person, url: str) -> None:
    client = Client()
    client.force_login(admin)
    page = client.post(url, {"number": "1"}, follow=True).content.decode()
    assert "Version 1 is in force again, as version 3." in page
    newest = queries.versions("shop", "posts")[0]
    assert (newest.number, newest.fields) == (3, {"timeout": 0.4})


def test_who_may_not_change_policies_may_not_restore(viewer: Person, url: str) -> None:
    client = Client()
    client.force_login(viewer)
    assert client.post(url, {"number": "1"}).status_code in (302, 403)
    assert queries.versions("shop", "posts")[0].number == 2
