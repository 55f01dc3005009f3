"""One process evaluates the rules at a time."""

from __future__ import annotations

import pytest

from dashboard.alerts.leases import LEASE_S, release, take
from dashboard.alerts.models import EvaluationLease

pytestmark = pytest.mark.django_db
NOW = 1_800_000_000.0


def test_one_holder_at_a_time() -> None:
    assert take("a", NOW)
    assert not take("b", NOW + 1)
    assert take("a", NOW + 1)
    assert take("b", NOW + 2 + LEASE_S)
    assert not take("a", NOW + 3 + LEASE_S)


def test_a_released_lease_is_free_at_once() -> None:
    take("a", NOW)
    release("a")
    assert take("b", NOW)


def test_a_lease_from_before_a_step_of_the_clock_is_taken_over() -> None:
    take("a", NOW + 3600)
    assert take("b", NOW)
    assert EvaluationLease.objects.get().holder == "b"
