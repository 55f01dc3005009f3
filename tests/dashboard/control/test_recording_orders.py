"""Orders to record: who may give them, their bounds, and what agents get."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from dashboard.access.models import AuditEntry, Person
from dashboard.control import recordings
from dashboard.control.desired_state import DesiredState
from dashboard.control.models import RecordingOrder
from dashboard.fleet.services import revision

pytestmark = pytest.mark.django_db


def test_an_order_is_in_the_desired_state_and_in_the_audit_trail(operator: Person) -> None:
    made = recordings.record(operator, "shop", "posts", 600.0, "what happens at 2:47?")
    desired = DesiredState(lambda service: []).compose("shop")
    assert desired.recordings is not None
    (order,) = desired.recordings
    assert (order.id, order.breaker, desired.revision) == (made.id, "posts", 1)
    assert 590 < order.expires_in_s <= 600
    entry = AuditEntry.objects.get()
    assert (entry.act, entry.breaker, entry.reason) == (
        "recording",
        "posts",
        "what happens at 2:47?",
    )


def test_it_ends_by_itself_or_by_hand(operator: Person) -> None:
    made = recordings.record(operator, "shop", "posts")
    assert recordings.stop(operator, "shop", made.id)
    assert not recordings.stop(operator, "shop", made.id)
    assert recordings.orders("shop") == []
    assert revision("shop") == 2
    recordings.record(operator, "shop", "posts")
    RecordingOrder.objects.update(expires=timezone.now() - timedelta(seconds=1))
    assert recordings.orders("shop") == []


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 9.9, 601.0, 1e308, float("nan"), float("inf")])
def test_a_duration_out_of_range_is_refused_by_field(operator: Person, seconds: float) -> None:
    with pytest.raises(ValidationError) as caught:
        recordings.record(operator, "shop", "posts", seconds)
    assert "10 s to 600 s" in caught.value.message_dict["seconds"][0]
    assert revision("shop") == 0


def test_a_breaker_is_recorded_once_at_a_time_and_few_of_a_service(operator: Person) -> None:
    recordings.record(operator, "shop", "posts")
    with pytest.raises(ValidationError, match="already"):
        recordings.record(operator, "shop", "posts")
    for n in range(recordings.MAX_STANDING - 1):
        recordings.record(operator, "shop", f"b{n}")
    with pytest.raises(ValidationError, match="stop one first"):
        recordings.record(operator, "shop", "one more")
    assert revision("shop") == recordings.MAX_STANDING
    recordings.record(operator, "other", "*")
    with pytest.raises(ValidationError, match="already"):
        recordings.record(operator, "other", "posts")


def test_a_viewer_may_not(viewer: Person) -> None:
    with pytest.raises(PermissionDenied):
        recordings.record(viewer, "shop", "posts")
    with pytest.raises(PermissionDenied):
        recordings.stop(viewer, "shop", "x")
