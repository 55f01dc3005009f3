"""Fallbacks by kind of error, with the error handed in, for results, and for ignored errors."""

from __future__ import annotations

from typing import Any

import pytest

from breakers import (
    CallOptions,
    CircuitBreaker,
    CircuitBreakerOpen,
    Fallback,
    PolicyError,
    ResilientCaller,
    TTLCache,
)
from breakers.testing import FakeClock
from tests.breakers.calls.calling import Calls


class NotFound(Exception):
    pass


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Calls:
    return Calls(request.param)


def raising(error: Exception) -> Any:
    def fail(*args: Any) -> Any:
        raise error

    return fail


def options(*fallbacks: Any, **fields: Any) -> CallOptions:
    return CallOptions(timeout=None, retries=1, fallback=fallbacks, **fields)


BY_KIND = (
    Fallback(lambda *args: "refused", on=CircuitBreakerOpen),
    Fallback(lambda *args: "no connection", on=(ConnectionError, TimeoutError)),
    Fallback(lambda *args: "odd", on=lambda error: "odd" in str(error)),
)


class TestByKind:
    @pytest.mark.parametrize(
        ("error", "answer"),
        [
            (CircuitBreakerOpen("posts", 1.0), "refused"),
            (ConnectionResetError(), "no connection"),
            (ValueError("odd"), "odd"),
        ],
    )
    def test_the_first_that_fits_answers(self, call: Calls, error: Exception, answer: str) -> None:
        assert call(raising(error), options(*BY_KIND)) == answer

    def test_an_error_that_none_fits_is_raised(self, call: Calls) -> None:
        with pytest.raises(KeyError):
            call(raising(KeyError()), options(*BY_KIND))

    def test_of_several_that_fit_the_next_answers_if_one_fails(self, call: Calls) -> None:
        broken = Fallback(raising(ValueError()), on=OSError)
        assert call(raising(OSError()), options(broken, *BY_KIND, lambda *args: "last")) == "last"


class TestTheErrorHandedIn:
    def test_it_comes_before_the_calls_arguments(self, call: Calls) -> None:
        fallback = Fallback(lambda error, *args: (type(error), args), with_error=True)
        assert call(raising(OSError()), options(fallback), 7) == (OSError, (7,))

    async def test_a_coroutine_function_gets_it_too(self) -> None:
        async def fail(n: int) -> None:
            raise OSError(n)

        async def answer(error: Exception, n: int) -> tuple[str, int]:
            return str(error), n

        made = options(Fallback(answer, with_error=True))
        assert await ResilientCaller().acall(fail, made, 7) == ("7", 7)


class TestResults:
    def test_one_answers_in_place_of_a_result(self, call: Calls) -> None:
        empty = Fallback(lambda *args: ["default"], on=(), on_result=lambda found: not found)
        assert call(list, options(empty)) == ["default"]
        assert call(lambda: [1], options(empty)) == [1]

    def test_it_is_counted_as_a_fallback(self, call: Calls) -> None:
        breaker = CircuitBreaker(registry=None)
        empty = Fallback(lambda: "default", on_result=lambda found: found is None)
        assert call(lambda: None, options(empty, circuit_breaker=breaker)) == "default"
        counts = breaker.snapshot().counts
        assert (counts["success"], counts["fallback"]) == (1, 1)

    async def test_its_rules_may_be_coroutine_functions(self) -> None:
        async def yes(given: object) -> bool:
            return True

        async def fine() -> int:
            return 1

        async def fail() -> int:
            raise OSError

        made = options(Fallback(lambda: "default", on=yes, on_result=yes))
        caller = ResilientCaller()
        assert (await caller.acall(fine, made), await caller.acall(fail, made)) == (
            "default",
            "default",
        )
        with pytest.raises(TypeError, match="fallback's on, fallback's on_result"):
            caller.call(int, made)


class TestIgnoredErrors:
    """They are answers, such as "not found": a fallback would hide them."""

    def breaker(self) -> CircuitBreaker:
        return CircuitBreaker(registry=None, ignore=NotFound)

    def test_they_reach_no_fallback(self, call: Calls) -> None:
        made = options(lambda *args: "hidden", circuit_breaker=self.breaker())
        with pytest.raises(NotFound):
            call(raising(NotFound(7)), made)
        assert call(raising(OSError()), made) == "hidden"

    def test_they_reach_one_that_asks_for_them(self, call: Calls) -> None:
        asking = Fallback(lambda *args: "empty", on=NotFound, on_ignored=True)
        made = options(lambda *args: "hidden", asking, circuit_breaker=self.breaker())
        assert call(raising(NotFound(7)), made) == "empty"

    def test_a_stale_result_does_not_hide_them(self, call: Calls) -> None:
        clock = FakeClock()
        call.caller.cache = TTLCache(clock=clock)
        made = CallOptions(
            timeout=None,
            retries=1,
            cache_key="user",
            cache_ttl=1,
            stale_ttl=60,
            circuit_breaker=self.breaker(),
        )
        assert call(lambda: "Ada", made) == "Ada"
        clock.advance(2)
        with pytest.raises(NotFound):
            call(raising(NotFound()), made)
        assert call(raising(OSError()), made) == "Ada"


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: Fallback(7), "fallback"),  # type: ignore[arg-type]
        (lambda: Fallback(int, on=7), "on"),  # type: ignore[arg-type]
        (lambda: Fallback(int, on=[int]), "on"),  # type: ignore[list-item]
        (lambda: Fallback(int, on_result=7), "on_result"),  # type: ignore[arg-type]
        (lambda: options(7), "fallback"),
        (lambda: options(), "fallback"),
    ],
)
def test_misuse_is_refused_at_construction(make: Any, field: str) -> None:
    with pytest.raises(PolicyError) as refused:
        make()
    assert refused.value.field == field
