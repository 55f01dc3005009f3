"""Recordings of calls: stored within bounds of each service, and read again."""

from __future__ import annotations

import pytest

from breakers.protocol import messages as wire
from dashboard.history import recordings, services
from dashboard.history.models import Recording

pytestmark = pytest.mark.django_db
NOW = 1_795_485_600.0


def message(
    first: int = 0, reason: str = "asked", id: str = "o1", calls: int = 3, age_s: float = 10.0
) -> wire.Recording:
    return wire.Recording(
        service="shop",
        instance="web-1",
        boot="b1",
        breaker="posts",
        reason="trip" if reason == "trip" else "asked",
        id=id,
        age_s=age_s,
        offset_us=[1000 * (first + n) for n in range(calls)],
        outcome=[n % 6 for n in range(calls)],
        latency_us=[500] * calls,
        attempt=[1 + n % 3 for n in range(calls)],
        first=first,
        cause="5 failures in a row",
    )


def test_a_recording_is_read_as_it_was_sent() -> None:
    assert recordings.store("shop", message(), NOW)
    found = list(recordings.calls("shop", "posts", NOW - 60, NOW))
    assert [each.outcome for each in found] == ["success", "failure", "timeout"]
    assert [each.at for each in found] == pytest.approx([NOW - 10, NOW - 9.999, NOW - 9.998])
    assert [each.seconds for each in found] == [0.0005] * 3
    assert [each.attempt for each in found] == [1, 2, 3]


def test_a_message_that_comes_twice_is_stored_once() -> None:
    recordings.store("shop", message(), NOW)
    recordings.store("shop", message(), NOW + 1)
    assert Recording.objects.count() == 1


def test_all_messages_of_an_order_have_one_time_zero() -> None:
    recordings.store("shop", message(), NOW)
    recordings.store("shop", message(first=3, age_s=20.02), NOW + 10)
    found = list(recordings.calls("shop", "posts", NOW - 60, NOW))
    assert [round((each.at - found[0].at) * 1e6) for each in found] == [1000 * n for n in range(6)]
    (told,) = recordings.summary("shop", "posts")
    assert (told["calls"], told["instances"]) == (6, 1)


def test_messages_that_two_workers_stored_at_once_have_one_time_zero_too() -> None:
    recordings.store("shop", message(), NOW)
    recordings.store("shop", message(first=3, age_s=20.0), NOW + 10)
    Recording.objects.filter(first=3).update(start=NOW - 10.5)
    found = list(recordings.calls("shop", "posts", NOW - 60, NOW))
    assert [round((each.at - found[0].at) * 1e6) for each in found] == [1000 * n for n in range(6)]


def test_calls_are_read_in_the_order_in_which_they_ended_at_each_instance() -> None:
    for first in (6, 0, 3):
        recordings.store("shop", message(first=first), NOW)
    other = message()
    other.instance = "web-0"
    recordings.store("shop", other, NOW)
    found = list(recordings.calls("shop", "posts", NOW - 60, NOW))
    assert [each.instance for each in found] == ["web-0"] * 3 + ["web-1"] * 9
    assert [each.at for each in found[3:]] == sorted(each.at for each in found[3:])


def test_the_calls_that_opened_a_breaker_are_the_latest_first() -> None:
    recordings.store("shop", message(reason="trip", id="trip-1"), NOW)
    recordings.store("shop", message(reason="trip", id="trip-2"), NOW + 60)
    assert [each.order for each in recordings.trips("shop", "posts")] == ["trip-2", "trip-1"]
    assert list(recordings.calls("shop", "posts", NOW - 60, NOW + 60)) == []


@pytest.mark.parametrize("bound", ["MAX_ROWS", "MAX_BYTES"])
def test_at_its_bound_a_service_loses_its_own_oldest_recordings(
    monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    recordings.store("other", message(), NOW - 100)
    size = Recording.objects.get().size
    monkeypatch.setattr(recordings, bound, 2 if bound == "MAX_ROWS" else 2 * size)
    for n in range(4):
        recordings.store("shop", message(first=3 * n), NOW + n)
    kept = Recording.objects.filter(service="shop").order_by("first")
    assert [each.first for each in kept] == [6, 9]
    assert Recording.objects.filter(service="other").count() == 1


def test_old_recordings_are_deleted() -> None:
    recordings.store("shop", message(), NOW)
    assert recordings.prune(NOW + recordings.KEPT_S - 1) == 0
    services.prune(NOW + recordings.KEPT_S + 1)
    assert not Recording.objects.exists()
