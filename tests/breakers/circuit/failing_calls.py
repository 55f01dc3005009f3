"""Breakers for tests, and calls that fail."""

from __future__ import annotations

from typing import Any

import pytest

from breakers import (
    CircuitBreaker,
    State,
)
from breakers.testing import FakeClock


class Boom(Exception):
    pass


def fail() -> None:
    raise Boom


def make(clock: FakeClock, **fields: Any) -> CircuitBreaker:
    fields.setdefault("failure_threshold", 3)
    fields.setdefault("timeout_duration", 30)
    fields.setdefault("open_jitter", 0.0)
    return CircuitBreaker(clock=clock, **fields)


def failing(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        with pytest.raises(Boom):
            breaker.call(fail)


def opened(clock: FakeClock, **fields: Any) -> CircuitBreaker:
    breaker = make(clock, **fields)
    failing(breaker, 3)
    assert breaker.state is State.OPEN
    return breaker
