"""Links to the status page: who makes them, how long they work, what is kept of them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client
from django.utils import timezone

from dashboard.access.models import AuditEntry, Person, StatusLink
from dashboard.access.status_links import create_status_link, revoke_status_link, status_link


@pytest.fixture
def admin(db: None) -> Person:
    return Person.objects.create(username="ada", is_staff=True, is_superuser=True)


def tomorrow() -> timezone.datetime:
    return timezone.now() + timedelta(days=1)


def test_a_link_is_found_by_its_token_and_only_its_hash_is_kept(admin: Person) -> None:
    raw = create_status_link(admin, "the board", tomorrow())
    link = status_link(raw)
    assert link is not None
    assert link.name == "the board"
    assert raw not in str(StatusLink.objects.values().get())
    assert AuditEntry.objects.get().act == "status link created"
    assert raw not in str(AuditEntry.objects.values().get())


def test_a_revoked_link_is_found_no_more_and_revoked_once(admin: Person) -> None:
    raw = create_status_link(admin, "the board", tomorrow())
    link = StatusLink.objects.get()
    assert revoke_status_link(link, admin)
    assert not revoke_status_link(link, admin)
    assert status_link(raw) is None


def test_a_link_ends_by_itself(admin: Person) -> None:
    raw = create_status_link(admin, "the board", tomorrow())
    StatusLink.objects.update(expires=timezone.now())
    assert status_link(raw) is None


@pytest.mark.parametrize("raw", ["", "short", "x" * 43, "y" * 10_000])
def test_what_is_no_token_finds_nothing(db: None, raw: str) -> None:
    assert status_link(raw) is None


def test_operators_may_not_share(operator: Person) -> None:
    with pytest.raises(PermissionDenied):
        create_status_link(operator, "me", tomorrow())


@pytest.mark.parametrize(
    ("field", "name", "days", "services"),
    [
        ("name", " ", 1, None),
        ("name", "x" * 81, 1, None),
        ("expires", "board", -1, None),
        ("expires", "board", 400, None),
        ("services", "board", 1, ["x" * 121]),
        ("services", "board", 1, ["s"] * 501),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    admin: Person, field: str, name: str, days: int, services: list[str] | None
) -> None:
    with pytest.raises(ValidationError) as caught:
        create_status_link(admin, name, timezone.now() + timedelta(days=days), services)
    assert set(caught.value.message_dict) == {field}
    assert not StatusLink.objects.exists()


@pytest.mark.usefixtures("static_files")
def test_an_administrator_makes_one_in_the_admin_and_reads_it_once(admin: Person) -> None:
    client = Client()
    client.force_login(admin)
    until = timezone.now() + timedelta(days=7)
    body = {
        "name": "the board",
        "expires_0": f"{until:%Y-%m-%d}",
        "expires_1": f"{until:%H:%M:%S}",
        "shown": "web\nprofile-api\n",
    }
    page = client.post("/admin/access/statuslink/add/", body, follow=True).content.decode()
    link = StatusLink.objects.get()
    assert link.services == ["profile-api", "web"]
    assert f"/status/{link.prefix}" in page
    assert f"/status/{link.prefix}" not in client.get("/admin/access/statuslink/").content.decode()
    client.post(
        "/admin/access/statuslink/", {"action": "revoke", "_selected_action": [str(link.pk)]}
    )
    assert StatusLink.objects.get().revoked
