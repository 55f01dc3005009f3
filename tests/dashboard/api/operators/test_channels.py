"""Channels through the API: secrets go in and never come out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dashboard.access.models import AuditEntry, Person
from dashboard.access.roles import ADMIN
from dashboard.alerts.models import Channel
from tests.dashboard.api.operators.conftest import Api

pytestmark = pytest.mark.django_db
PATH = "/alerts/channels/ops"
HOOK = {"kind": "webhook", "url": "https://hooks.example.com/T0K3N", "secret": "s3cret"}


@pytest.fixture
def api(api_of: Callable[..., Api], person: Callable[[str], Person]) -> Api:
    return api_of(person(ADMIN))


def fields(answer: Any) -> list[str]:
    return [each["field"] for each in answer.json()["errors"]]


def test_one_is_added_and_its_secrets_are_told_to_nobody(api: Api) -> None:
    made = api("PUT", PATH, HOOK)
    assert made.status_code == 201
    shown = api("GET", "/alerts/channels")
    assert [each["name"] for each in shown.json()] == ["ops"]
    trail = str(list(AuditEntry.objects.values_list("detail", flat=True)))
    for text in (made.content.decode(), shown.content.decode(), trail):
        assert "T0K3N" not in text
        assert "s3cret" not in text
    kept = Channel.objects.get()
    assert (kept.url, kept.secret) == (HOOK["url"], HOOK["secret"])


def test_a_change_needs_what_was_seen_and_keeps_what_is_left_out(api: Api) -> None:
    seen = api("PUT", PATH, HOOK)["ETag"]
    off = {"kind": "webhook", "enabled": False}
    assert api("PUT", PATH, off).status_code == 428
    done = api("PUT", PATH, off, If_Match=seen)
    assert (done.status_code, done.json()["enabled"]) == (200, False)
    assert api("PUT", PATH, off, If_Match=seen).status_code == 412
    assert Channel.objects.get().secret == "s3cret"
    assert AuditEntry.objects.order_by("-number")[0].detail["fields"] == ["enabled"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**HOOK, "url": "ftp://x"}, "url"),
        ({**HOOK, "url": "https://"}, "url"),
        ({**HOOK, "url": "https://hooks.example.com:99999/"}, "url"),
        ({**HOOK, "url": "https://[::1/"}, "url"),
        ({**HOOK, "secret": ""}, "secret"),
        ({"kind": "apprise", "url": "nobody-knows://x"}, "url"),
        ({"kind": "apprise"}, "url"),
        ({**HOOK, "url": "https://" + "x" * 1000}, "url"),
        ({**HOOK, "secret": "s" * 201}, "secret"),
    ],
)
def test_what_could_not_work_is_refused_at_its_field(
    api: Api, body: dict[str, Any], field: str
) -> None:
    answer = api("PUT", PATH, body)
    assert answer.status_code == 422
    assert field in fields(answer)
    assert not Channel.objects.exists()


@pytest.mark.parametrize("name", ["%07", "%25", "n" * 81, "a%250Ab"])
def test_a_name_is_printable_and_of_eighty_characters(api: Api, name: str) -> None:
    answer = api("PUT", f"/alerts/channels/{name}", HOOK)
    assert answer.status_code in (201, 422)
    assert Channel.objects.count() == (answer.status_code == 201)
    assert all(row.name.isprintable() and len(row.name) <= 80 for row in Channel.objects.all())


def test_one_is_deleted_once(api: Api) -> None:
    api("PUT", PATH, HOOK)
    assert api("DELETE", PATH).status_code == 428
    assert api("DELETE", PATH, If_Match="*").status_code == 204
    assert api("DELETE", PATH, If_Match="*").status_code == 404
    assert [row.act for row in AuditEntry.objects.order_by("number")][-1] == "channel deleted"
