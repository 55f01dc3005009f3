"""Stale results, and failures that are cached as results."""

from __future__ import annotations

import pytest

from breakers import (
    CachedFailure,
    CallOptions,
    CircuitBreaker,
    FallbackValue,
    TTLCache,
)
from breakers.testing import FakeClock
from tests.breakers.calls.calling import Boom, Calls, Dependency


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Calls:
    return Calls(request.param)


class NotFound(Exception):
    pass


class Picky(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(one, two)


class Kept:
    """A caller with a cache on a clock that is turned by hand."""

    def __init__(self, call: Calls) -> None:
        self.clock = FakeClock()
        call.caller.cache = TTLCache(clock=self.clock)
        self.call = call


@pytest.fixture
def kept(call: Calls) -> Kept:
    return Kept(call)


class TestStaleAndNegative:
    def test_a_key_may_be_a_function_of_the_arguments(self, kept: Kept) -> None:
        options = CallOptions(timeout=None, cache_key=lambda n: f"square:{n}")
        for n in (2, 3, 2):
            assert kept.call(lambda n: n * n, options, n) == n * n
        assert kept.call.caller.cache.get("square:2") == 4  # type: ignore[union-attr]

    def test_a_stale_answer_is_better_than_none(self, kept: Kept) -> None:
        breaker = CircuitBreaker()
        options = CallOptions(
            timeout=None, retries=1, cache_key="k", cache_ttl=10, stale_ttl=100,
            circuit_breaker=breaker, fallback=FallbackValue("fallback"),
        )  # fmt: skip
        assert kept.call(Dependency(), options) == "answer"
        kept.clock.advance(60)
        assert kept.call(Dependency(failures=9), options) == "answer"
        assert breaker.snapshot().counts["fallback"] == 1
        kept.clock.advance(60)
        assert kept.call(Dependency(failures=9), options) == "fallback"

    def test_a_failure_that_is_an_answer_is_kept_as_one(self, kept: Kept) -> None:
        service = Dependency(failures=1, error=lambda: NotFound("user 7"))
        options = CallOptions(
            timeout=None, retries=1, cache_key="k", negative_on=(NotFound,), negative_ttl=5.0
        )
        for _ in range(3):
            with pytest.raises(NotFound, match="user 7"):
                kept.call(service, options)
        assert service.asked == 1
        kept.clock.advance(6)
        assert kept.call(service, options) == "answer"

    def test_a_failure_that_is_an_answer_is_newer_than_a_stale_one(self, kept: Kept) -> None:
        options = CallOptions(
            timeout=None, retries=1, cache_key="k", cache_ttl=10, stale_ttl=100,
            negative_on=(NotFound,),
        )  # fmt: skip
        assert kept.call(Dependency(), options) == "answer"
        kept.clock.advance(60)
        gone = Dependency(failures=9, error=lambda: NotFound("user 7"))
        for _ in range(2):
            with pytest.raises(NotFound):
                kept.call(gone, options)
        assert gone.asked == 1

    def test_other_failures_are_not_kept(self, kept: Kept) -> None:
        service = Dependency(failures=1)
        options = CallOptions(timeout=None, retries=1, cache_key="k", negative_on=(NotFound,))
        with pytest.raises(Boom):
            kept.call(service, options)
        assert kept.call(service, options) == "answer"

    def test_a_failure_whose_type_takes_more_than_a_message_comes_back_as_cached(
        self, kept: Kept
    ) -> None:
        service = Dependency(failures=9, error=lambda: Picky("one", "two"))
        options = CallOptions(timeout=None, retries=1, cache_key="k", negative_on=(Picky,))
        with pytest.raises(Picky):
            kept.call(service, options)
        with pytest.raises(CachedFailure, match="one"):
            kept.call(service, options)
