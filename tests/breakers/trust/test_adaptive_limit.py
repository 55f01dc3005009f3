"""An adaptive limit learns from real answers and real overload only."""

from __future__ import annotations

import asyncio

import pytest

from breakers import (
    AdaptiveLimit,
    BulkheadFull,
    CallTimeout,
    CircuitBreakerOpen,
    PolicyError,
    RateLimited,
)


@pytest.mark.parametrize(
    "error",
    [
        CircuitBreakerOpen("posts", 1.0),
        BulkheadFull("full"),
        RateLimited(1, 1.0, 1.0),
        KeyError("an answer"),
        asyncio.CancelledError(),
        GeneratorExit(),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_no_answer_teaches_nothing(error: BaseException) -> None:
    limit = AdaptiveLimit(41)
    for _ in range(3000):
        with pytest.raises(type(error)), limit:
            raise error
    assert limit.max_concurrent == 41
    assert limit.in_flight == 0


@pytest.mark.parametrize("error", [CallTimeout("late"), TimeoutError(), ConnectionResetError()])
def test_overload_shrinks_it(error: Exception) -> None:
    limit = AdaptiveLimit(41)
    with pytest.raises(type(error)), limit:
        raise error
    assert limit.max_concurrent == 36


def test_the_errors_of_an_overload_can_be_said() -> None:
    class TooMany(Exception):
        pass

    for overload in (TooMany, [TooMany], lambda error: isinstance(error, TooMany)):
        limit = AdaptiveLimit(10, overload=overload)  # type: ignore[arg-type]
        with pytest.raises(TooMany), limit:
            raise TooMany
        with pytest.raises(OSError), limit:
            raise OSError
        assert limit.max_concurrent == 9
    with pytest.raises(PolicyError, match="overload"):
        AdaptiveLimit(10, overload=["TooMany"])  # type: ignore[list-item]
