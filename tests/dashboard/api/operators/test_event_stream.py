"""The id of each event is where the stream goes on after it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dashboard.access.models import Person
from dashboard.access.roles import ADMIN
from dashboard.access.services import audit
from dashboard.api.operators.event_stream import Event, _batch, position
from dashboard.history.models import Transition

pytestmark = pytest.mark.django_db
NOW = 1_800_000_000.0


@pytest.fixture
def admin(person: Callable[[str], Person]) -> Person:
    return person(ADMIN)


def changed(key: int, at: float) -> None:
    Transition.objects.create(
        key=key, number=key, service="shop", breaker="db", instance="one", at=at,
        before="closed", after="open", cause="5 failures in a row",
    )  # fmt: skip


def reasons(events: list[Event]) -> list[str]:
    return [data["reason"] for _, kind, data in events if kind == "audit"]


def test_who_is_cut_off_within_a_batch_misses_nothing(admin: Person) -> None:
    changed(1, NOW + 1)
    changed(2, NOW + 2)
    for n in range(5):
        audit(None, "happened", service="shop", reason=f"event {n}")
    events = _batch(admin, position(f"0-{NOW}"))
    assert reasons(events) == [f"event {n}" for n in range(5)]
    for cut, (id, _, _) in enumerate(events):
        after = _batch(admin, position(id))
        missed = [each for each in events[cut + 1 :] if each[2] not in [one[2] for one in after]]
        assert missed == []
        # What has an order of its own is not told twice.
        assert reasons(after) == reasons(events[cut + 1 :])


def test_a_stream_that_goes_on_tells_nothing_twice(admin: Person) -> None:
    at = position(f"0-{NOW}")
    changed(1, NOW + 1)
    audit(None, "happened", service="shop", reason="first")
    assert len(_batch(admin, at)) == 2
    changed(2, NOW + 0.5)  # stored late
    audit(None, "happened", service="shop", reason="second")
    found = _batch(admin, at)
    assert [data.get("key") or data["reason"] for _, _, data in found] == ["2", "second"]
    assert _batch(admin, at) == []
