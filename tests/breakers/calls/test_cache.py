"""Caching of results and failures, and the metrics of calls."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from breakers import (
    CallOptions,
    CircuitBreaker,
    ResilientCaller,
    TTLCache,
)
from breakers.calls.cache import MISS, pack, unpack
from breakers.testing import FakeClock
from tests.breakers.calls.calling import Calls, Dependency


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Calls:
    return Calls(request.param)


class TestCache:
    @pytest.mark.parametrize("answer", ["text", 0, [], None])
    def test_an_answer_is_kept_none_included(self, call: Calls, answer: Any) -> None:
        call.caller.cache = TTLCache()
        options = CallOptions(timeout=None, cache_key="k")
        asked = [0]

        def service() -> Any:
            asked[0] += 1
            return answer

        assert call(service, options) == answer
        assert call(service, options) == answer
        assert asked == [1]

    def test_failures_and_fallbacks_are_not_kept(self, call: Calls) -> None:
        call.caller.cache = TTLCache()
        options = CallOptions(
            timeout=None, retries=1, cache_key="k", fallback=lambda: "second best"
        )
        service = Dependency(failures=1)
        assert call(service, options) == "second best"
        assert call(service, options) == "answer"

    def test_hits_and_misses_are_counted(self, call: Calls) -> None:
        call.caller.cache = TTLCache()
        breaker = CircuitBreaker()
        options = CallOptions(timeout=None, cache_key="k", circuit_breaker=breaker)
        for _ in range(3):
            call(Dependency(), options)
        counts = breaker.snapshot().counts
        assert (counts["cache_miss"], counts["cache_hit"]) == (1, 2)

    def test_a_cache_that_fails_is_a_miss_and_complains_once(
        self, call: Calls, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Broken:
            def get(self, key: str) -> Any:
                raise OSError("no cache")

            def set(self, key: str, value: Any, ttl: float) -> None:
                raise OSError("no cache")

        from breakers.calls import backends

        backends._logged_at.clear()
        call.caller.cache = Broken()
        with caplog.at_level(logging.WARNING, "breakers"):
            for _ in range(5):
                options = CallOptions(timeout=None, cache_key="k")
                assert call(Dependency(), options) == "answer"
        assert len(caplog.records) == 1

    async def test_an_asynchronous_cache_is_awaited(self) -> None:
        class Remote:
            kept: dict[str, Any] = {}

            async def get(self, key: str) -> Any:
                return self.kept.get(key)

            async def set(self, key: str, value: Any, ttl: float) -> None:
                self.kept[key] = value

        caller = ResilientCaller(cache=Remote())

        async def service() -> None:
            service.asked += 1  # type: ignore[attr-defined]

        service.asked = 0  # type: ignore[attr-defined]
        for _ in range(3):
            assert await caller.acall(service, CallOptions(timeout=None, cache_key="k")) is None
        assert service.asked == 1  # type: ignore[attr-defined]

    def test_the_cache_in_memory_forgets_the_old_and_the_unused(self) -> None:
        clock = FakeClock()
        cache = TTLCache(max_entries=2, clock=clock)
        cache.set("a", 1, ttl=10)
        cache.set("b", 2, ttl=100)
        cache.get("a")
        cache.set("c", 3, ttl=100)
        assert (cache.get("a"), cache.get("b"), cache.get("c"), len(cache)) == (1, None, 3, 2)
        clock.advance(10)
        assert cache.get("a") is None
        with pytest.raises(ValueError, match="whole number from 1"):
            TTLCache(max_entries=0)

    def test_none_is_told_from_a_miss(self) -> None:
        assert unpack(pack(None)) is None
        assert unpack(None) is MISS


class TestMetrics:
    class RecordingMetrics(list[Any]):
        def increment(self, name: str) -> None:
            self.append(name)

        def histogram(self, name: str, value: float) -> None:
            assert value >= 0
            self.append(name)

    def test_they_are_told_of_each_call(self, call: Calls) -> None:
        told = call.caller.metrics = self.RecordingMetrics()
        call.caller.cache = TTLCache()
        options = CallOptions(timeout=None, retries=1, cache_key="k", fallback=Dependency())
        call(Dependency(failures=1), options)
        call(Dependency(), options)
        call(Dependency(), options)
        assert told == [
            *("cache.miss", "call.duration", "call.failure"),
            *("cache.miss", "call.duration", "call.success"),
            "cache.hit",
        ]

    def test_a_backend_that_fails_fails_no_call(self, call: Calls) -> None:
        call.caller.metrics = object()  # type: ignore[assignment]
        assert call(Dependency(), CallOptions(timeout=None)) == "answer"
