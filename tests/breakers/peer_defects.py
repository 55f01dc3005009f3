"""Breakers for the tests of peers' defects."""

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


class Odd(Exception):
    pass


def fail(error: type[Exception] = Boom) -> None:
    raise error


def opened(clock: FakeClock, **fields: Any) -> CircuitBreaker:
    breaker = CircuitBreaker(1, 30, clock=clock, open_jitter=0.0, **fields)
    with pytest.raises(Boom):
        breaker.call(fail)
    assert breaker.state is State.OPEN
    return breaker
