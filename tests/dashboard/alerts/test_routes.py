"""Which messages a route gets, and when."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.core import signing

from dashboard.access.models import Person
from dashboard.alerts import delivery, outbox, services
from dashboard.alerts.models import Channel, Incident, OutboxMessage, Route
from tests.dashboard.alerts.test_incidents import NOW, POSTS, fire

pytestmark = pytest.mark.django_db


@pytest.fixture
def channel() -> Channel:
    return Channel.objects.create(name="ops", kind="webhook", url="http://127.0.0.1:1/")


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("begin", "end", "zone", "due", "expected"),
    [
        (22, 7, "UTC", "2026-03-02T21:59:59", "2026-03-02T21:59:59"),
        (22, 7, "UTC", "2026-03-02T22:00:00", "2026-03-03T07:00:00"),
        (22, 7, "UTC", "2026-03-03T03:00:00", "2026-03-03T07:00:00"),
        (22, 7, "UTC", "2026-03-03T07:00:00", "2026-03-03T07:00:00"),
        (9, 17, "America/New_York", "2026-03-02T15:00:00", "2026-03-02T22:00:00"),
        # The night in which the clocks go forward is an hour shorter.
        (22, 7, "Europe/Berlin", "2026-03-28T23:30:00", "2026-03-29T05:00:00"),
        (8, 8, "UTC", "2026-03-02T08:30:00", "2026-03-02T08:30:00"),
    ],
)
def test_quiet_hours_end_at_their_hour_in_their_zone(
    begin: int, end: int, zone: str, due: str, expected: str
) -> None:
    route = Route(quiet_from=begin, quiet_to=end, zone=zone)
    assert outbox.after_quiet_hours(route, at(due)) == at(expected)


def test_an_escalation_goes_out_if_nobody_acknowledges_and_hears_of_the_end(
    channel: Channel, operator: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(delivery, "deliver", lambda message: sent.append(message.kind))
    Route.objects.create(name="boss", channel=channel, escalate_after_s=300)
    (incident,) = fire(POSTS).opened
    outbox.announce(incident, "opened", NOW)
    delivery.deliver_due(NOW + 299)
    assert sent == []
    delivery.deliver_due(NOW + 301)
    services.resolve(incident.pk, operator)
    message = OutboxMessage.objects.get(kind="resolved")
    delivery.deliver_due(message.due)
    assert sent == ["opened", "resolved"]


def test_who_was_not_called_does_not_hear_of_the_end(channel: Channel, operator: Person) -> None:
    Route.objects.create(name="boss", channel=channel, escalate_after_s=300)
    (incident,) = fire(POSTS).opened
    outbox.announce(incident, "opened", NOW)
    services.acknowledge(incident.pk, operator)
    services.resolve(incident.pk, operator)
    assert set(OutboxMessage.objects.values_list("kind", flat=True)) == {"opened"}


def test_a_link_of_a_message_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    fire(POSTS)
    incident = Incident.objects.get()
    token = outbox.link(incident).partition("ack=")[2]
    assert outbox.is_link_of(incident, token)
    later = signing.time.time() + outbox.LINK_AGE.total_seconds() + 1
    monkeypatch.setattr(signing.time, "time", lambda: later)
    assert not outbox.is_link_of(incident, token)
