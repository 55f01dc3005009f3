"""Retries, timeouts and fallbacks of generator functions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import Any

import pytest

from breakers import (
    Bulkhead,
    CallOptions,
    CallTimeout,
    CircuitBreaker,
    Fallback,
    RateLimiter,
    ResilientCaller,
    remaining,
    resilient,
)
from breakers.testing import set_active

LONG = 30.0


class Flaky:
    """A source of numbers that breaks off after two of them, some times."""

    def __init__(self, failures: int) -> None:
        self.failures, self.began = failures, 0

    def items(self) -> Iterator[int]:
        self.began += 1
        yield 1
        yield 2
        if self.began <= self.failures:
            raise ConnectionError
        yield 3

    async def aitems(self) -> AsyncIterator[int]:
        for item in self.items():
            yield item


class Read:
    """Reads a generator function of either kind, decorated, to its end."""

    def __init__(self, is_async: bool) -> None:
        self.is_async = is_async
        self.slept: list[float] = []
        self.caller = ResilientCaller(
            sleep=self.slept.append, asleep=self._asleep, random=lambda: 1.0
        )

    async def _asleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def __call__(self, flaky: Flaky, options: CallOptions) -> list[Any]:
        seen: list[Any] = []
        self.seen = seen
        if not self.is_async:
            seen.extend([])
            for item in resilient(options, self.caller)(flaky.items)():
                seen.append(item)
            return seen

        async def read() -> None:
            async for item in resilient(options, self.caller)(flaky.aitems)():
                seen.append(item)

        asyncio.run(read())
        return seen


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def read(request: pytest.FixtureRequest) -> Read:
    return Read(request.param)


def made(**fields: Any) -> CallOptions:
    return CallOptions(**{"timeout": None, "retry_delay": 0.5, **fields})


class TestRetries:
    def test_it_begins_again(self, read: Read) -> None:
        flaky = Flaky(failures=2)
        assert read(flaky, made()) == [1, 2, 1, 2, 1, 2, 3]
        assert (flaky.began, read.slept) == (3, [0.5, 1.0])

    def test_the_last_attempts_error_is_raised(self, read: Read) -> None:
        with pytest.raises(ConnectionError):
            read(Flaky(failures=9), made(retries=2))
        assert read.seen == [1, 2, 1, 2]

    def test_other_errors_are_not_retried(self, read: Read) -> None:
        flaky = Flaky(failures=9)
        with pytest.raises(ConnectionError):
            read(flaky, made(retry_on=KeyError))
        assert flaky.began == 1

    def test_each_attempt_passes_the_breaker(self, read: Read) -> None:
        breaker = CircuitBreaker(registry=None)
        read(Flaky(failures=1), made(circuit_breaker=breaker))
        counts = breaker.snapshot().counts
        assert (counts["failure"], counts["success"], counts["retry"]) == (1, 1, 1)

    def test_an_open_breaker_is_not_retried(self, read: Read) -> None:
        breaker, flaky = CircuitBreaker(registry=None), Flaky(failures=0)
        breaker.set_override("forced_open")
        with pytest.raises(Exception, match="forced open"):
            read(flaky, made(circuit_breaker=breaker))
        assert (flaky.began, read.slept) == (0, [])


class TestFallbacks:
    def test_its_items_follow_those_that_were_seen(self, read: Read) -> None:
        options = made(retries=1, fallback=lambda: iter([8, 9]))
        assert read(Flaky(failures=9), options) == [1, 2, 8, 9]

    def test_one_by_kind_gets_the_error(self, read: Read) -> None:
        by_kind = Fallback(lambda error: [type(error).__name__], on=OSError, with_error=True)
        assert read(Flaky(9), made(retries=1, fallback=by_kind)) == [1, 2, "ConnectionError"]

    def test_without_one_map_errors_names_the_error(self, read: Read) -> None:
        with pytest.raises(LookupError):
            read(Flaky(9), made(retries=1, map_errors={OSError: LookupError}))

    async def test_an_async_generator_may_be_one(self) -> None:
        async def others() -> AsyncIterator[int]:
            yield 7

        options = made(retries=1, fallback=others)
        decorated = resilient(options)(Flaky(9).aitems)
        assert [item async for item in decorated()] == [1, 2, 7]


class TestTime:
    """Only the time in which the generator works counts."""

    @pytest.mark.parametrize("strategy", ["auto", "thread", "cooperative"])
    def test_a_slow_reader_does_not_run_it_out_of_time(self, strategy: Any) -> None:
        options = made(timeout=0.2, retries=1, strategy=strategy)
        seen = []
        for item in resilient(options)(Flaky(0).items)():
            assert remaining() is None
            time.sleep(0.1)
            seen.append(item)
        assert seen == [1, 2, 3]

    def test_one_that_works_too_long_is_interrupted(self) -> None:
        def items() -> Iterator[int]:
            yield 1
            time.sleep(LONG)

        seen: list[int] = []
        with pytest.raises(CallTimeout):
            seen.extend(resilient(made(timeout=0.05, retries=1))(items)())
        assert seen == [1]

    async def test_so_is_an_async_one(self) -> None:
        async def items() -> AsyncIterator[int]:
            yield 1
            await asyncio.sleep(LONG)

        seen: list[int] = []
        with pytest.raises(CallTimeout):
            async for item in resilient(made(timeout=0.05, retries=1))(items)():
                await asyncio.sleep(0.06)
                seen.append(item)
        assert seen == [1]

    def test_pauses_and_attempts_share_the_deadline(self, read: Read) -> None:
        flaky = Flaky(failures=9)
        with pytest.raises(ConnectionError):
            read(flaky, made(deadline=1.2, retries=9))
        assert (flaky.began, read.slept) == (2, [0.5])

    def test_a_deadline_that_is_used_up_is_a_timeout(self) -> None:
        def items() -> Iterator[int]:
            time.sleep(0.03)
            yield 1
            yield 2

        options = made(deadline=0.02, retries=1, strategy="cooperative")
        with pytest.raises(CallTimeout):
            list(resilient(options)(items)())


class TestTheProtocol:
    def test_what_is_sent_and_thrown_reaches_it_and_what_it_returns_comes_back(self) -> None:
        seen: list[Any] = []

        @resilient(made())
        def items() -> Generator[int, Any, str]:
            seen.append((yield 1))
            try:
                yield 2
            except KeyError:
                seen.append("thrown")
            yield 3
            return "returned"

        running: Any = items()
        assert (next(running), running.send("sent"), running.throw(KeyError())) == (1, 2, 3)
        with pytest.raises(StopIteration) as stop:
            next(running)
        assert (stop.value.value, seen) == ("returned", ["sent", "thrown"])

    def test_one_that_is_closed_early_is_closed_and_gives_its_slot_back(self) -> None:
        closed: list[bool] = []

        def items() -> Iterator[int]:
            try:
                yield 1
            finally:
                closed.append(True)

        bulkhead = Bulkhead(1)
        running: Any = resilient(made(bulkhead=bulkhead, rate_limiter=RateLimiter(9)))(items)()
        next(running)
        assert bulkhead.in_flight == 1
        running.close()
        assert (closed, bulkhead.in_flight) == ([True], 0)

    async def test_so_is_an_async_one(self) -> None:
        closed: list[bool] = []

        async def items() -> AsyncIterator[int]:
            try:
                yield 1
            finally:
                closed.append(True)

        bulkhead = Bulkhead(1)
        options = made(bulkhead=bulkhead, rate_limiter=RateLimiter(9))
        running: Any = resilient(options)(items)()
        await anext(running)
        assert bulkhead.in_flight == 1
        await running.aclose()
        assert (closed, bulkhead.in_flight) == ([True], 0)

    def test_while_resilience_is_off_it_is_the_plain_one(self, read: Read) -> None:
        flaky = Flaky(failures=1)
        with set_active(False), pytest.raises(ConnectionError):
            read(flaky, made(fallback=lambda: [9]))
        assert flaky.began == 1


@pytest.mark.parametrize("field", ["cache_key", "hedge_delay"])
def test_what_needs_a_single_result_is_refused_by_name(field: str) -> None:
    given: Any = "k" if field == "cache_key" else 0.1
    for func in (Flaky(0).items, Flaky(0).aitems):
        with pytest.raises(TypeError, match=field):
            resilient(made(**{field: given}))(func)


def test_rules_that_must_be_awaited_are_refused_by_name() -> None:
    async def no(error: Exception) -> bool:
        return False

    refused: Callable[[], object] = lambda: resilient(made(retry_on=no))(Flaky(0).items)  # noqa: E731
    with pytest.raises(TypeError, match="retry_on"):
        refused()
