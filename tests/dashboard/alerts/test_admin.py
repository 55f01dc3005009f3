"""Channels, routes and silences in the admin: secrets stay secret, and changes are audited."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client

from dashboard.access.models import AuditEntry, Person
from dashboard.alerts.channels import DeliveryError, deliver
from dashboard.alerts.models import Channel, OutboxMessage, Route

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("static_files")]
URL = "https://hooks.example.com/T0K3N"
ADD = "/admin/alerts/channel/add/"


@pytest.fixture
def admin(django_user_model: type[Person]) -> Client:
    client = Client()
    client.force_login(django_user_model.objects.create_superuser("root"))
    return client


def form(**more: str) -> dict[str, str]:
    return {
        "name": "ops",
        "kind": "webhook",
        "url": URL,
        "secret": "s3cret",
        "enabled": "on",
    } | more


def stored() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT url, secret FROM alerts_channel")
        return " ".join(cursor.fetchone())


def test_addresses_and_secrets_are_encrypted_in_the_database(admin: Client) -> None:
    assert admin.post(ADD, form()).status_code == 302
    assert "T0K3N" not in stored()
    assert "s3cret" not in stored()
    channel = Channel.objects.get()
    assert (channel.url, channel.secret) == (URL, "s3cret")


def test_they_are_never_shown_again_and_stay_if_left_empty(admin: Client) -> None:
    admin.post(ADD, form())
    channel = Channel.objects.get()
    page = f"/admin/alerts/channel/{channel.pk}/change/"
    shown = admin.get(page).content.decode()
    assert "T0K3N" not in shown
    assert "s3cret" not in shown
    assert admin.post(page, form(name="pager", url="", secret="")).status_code == 302
    channel.refresh_from_db()
    assert (channel.name, channel.url, channel.secret) == ("pager", URL, "s3cret")


def test_another_key_can_not_read_them_unless_it_is_a_fallback(settings: Any) -> None:
    channel = Channel.objects.create(name="ops", kind="webhook", url=URL, secret="s3cret")
    before = settings.SECRET_KEY
    settings.SECRET_KEY = "another key of this installation, long enough"
    channel.refresh_from_db()
    assert channel.url == ""
    with pytest.raises(DeliveryError, match="enter it again"):
        deliver(OutboxMessage(channel=channel))
    settings.SECRET_KEY_FALLBACKS = [before]
    channel.refresh_from_db()
    assert channel.url == URL


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"secret": ""}, "needs a secret"), ({"url": "ftp://x"}, "http or https address")],
)
def test_a_webhook_that_could_not_work_is_refused_at_its_field(
    admin: Client, wrong: dict[str, str], said: str
) -> None:
    answer = admin.post(ADD, form(**wrong))
    assert answer.status_code == 200
    assert said in answer.content.decode()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"zone": "Mars/Base"}, "is not a time zone"),
        ({"quiet_from": "22"}, "Give both hours"),
        ({"quiet_from": "22", "quiet_to": "24"}, "use 0 to 23"),
        ({"escalate_after_s": "-1"}, "use 0 to 86400"),
    ],
)
def test_a_route_that_could_not_work_is_refused_at_its_field(
    admin: Client, wrong: dict[str, str], said: str
) -> None:
    channel = Channel.objects.create(name="ops", kind="webhook", url=URL, secret="s")
    given = {"name": "r", "channel": str(channel.pk), "min_severity": "info", "zone": "UTC",
             "escalate_after_s": "0", "enabled": "on"} | wrong  # fmt: skip
    answer = admin.post("/admin/alerts/route/add/", given)
    assert answer.status_code == 200
    assert said in answer.content.decode()
    assert not Route.objects.exists()


def test_each_change_is_audited_without_its_secrets(admin: Client) -> None:
    admin.post(ADD, form())
    channel = Channel.objects.get()
    admin.post(f"/admin/alerts/channel/{channel.pk}/change/", form(name="pager"))
    admin.post(f"/admin/alerts/channel/{channel.pk}/delete/", {"post": "yes"})
    rows = AuditEntry.objects.filter(act__startswith="channel").order_by("pk")
    assert [row.act for row in rows] == ["channel added", "channel changed", "channel deleted"]
    assert "T0K3N" not in str([row.detail for row in rows])
