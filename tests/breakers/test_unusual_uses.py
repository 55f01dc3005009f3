"""Uses that are odd, and misuses: what hurts elsewhere in the field."""

from __future__ import annotations

import asyncio
import copy
import functools
import pickle
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from breakers import (
    BulkheadFull,
    CachedFailure,
    CallOptions,
    CallTimeout,
    CircuitBreaker,
    CircuitBreakerOpen,
    CircuitForcedOpen,
    PolicyError,
    RateLimited,
    ResilientCaller,
    State,
    TTLCache,
    gather,
    resilient,
)
from breakers.calls.retries import retry_after
from tests.breakers.boom import Boom, afail


class TestGenerators:
    async def test_what_is_sent_and_thrown_reaches_an_async_generator(self) -> None:
        breaker, got = CircuitBreaker(), []

        @breaker
        async def talk():  # type: ignore[no-untyped-def]
            got.append((yield "first"))
            try:
                yield "second"
            except KeyError:
                yield "third"

        talking = talk()
        assert await talking.asend(None) == "first"
        assert await talking.asend(7) == "second"
        assert await talking.athrow(KeyError()) == "third"
        with pytest.raises(StopAsyncIteration):
            await talking.asend(None)
        assert got == [7]
        assert breaker.snapshot().counts["success"] == 1

    async def test_what_is_thrown_and_not_caught_is_its_failure(self) -> None:
        breaker = CircuitBreaker()

        @breaker
        async def talk() -> AsyncIterator[int]:
            yield 1

        talking: Any = talk()
        await anext(talking)
        with pytest.raises(Boom):
            await talking.athrow(Boom())
        assert breaker.snapshot().counts["failure"] == 1

    async def test_one_that_is_closed_early_is_closed_to_its_end_at_once(self) -> None:
        breaker, closed = CircuitBreaker(), []

        @breaker
        async def numbers() -> AsyncIterator[int]:
            try:
                yield 1
                yield 2
            finally:
                await asyncio.sleep(0)
                closed.append("closed")

        counting: Any = numbers()
        await anext(counting)
        await counting.aclose()
        shot = breaker.snapshot()
        assert (closed, shot.in_flight) == (["closed"], 0)
        assert (shot.counts["success"], shot.counts["failure"]) == (1, 0)

    def test_a_generator_keeps_its_whole_protocol(self) -> None:
        breaker, seen = CircuitBreaker(), []

        @breaker
        def talk():  # type: ignore[no-untyped-def]
            try:
                seen.append((yield 1))
                try:
                    yield 2
                except KeyError:
                    yield 3
                return "end"
            finally:
                seen.append("closed")

        talking = talk()
        assert (next(talking), talking.send(7), talking.throw(KeyError())) == (1, 2, 3)
        with pytest.raises(StopIteration) as ended:
            next(talking)
        assert ended.value.value == "end"
        talking = talk()
        next(talking)
        talking.close()
        assert seen == [7, "closed", "closed"]
        assert breaker.snapshot().in_flight == 0

    def test_one_that_is_never_begun_holds_nothing(self) -> None:
        breaker = CircuitBreaker()

        @breaker
        def numbers() -> Iterator[int]:
            yield 1

        numbers()
        assert breaker.snapshot().in_flight == 0


class Service:
    """An object that is called like a coroutine function."""

    async def __call__(self) -> None:
        raise Boom


class TestKinds:
    async def test_an_object_whose_call_is_a_coroutine_function_is_awaited(self) -> None:
        breaker = CircuitBreaker(1)
        with pytest.raises(Boom):
            await breaker(Service())()
        assert breaker.state is State.OPEN

    async def test_so_are_partial_functions(self) -> None:
        breaker = CircuitBreaker(1)
        with pytest.raises(Boom):
            await breaker(functools.partial(afail, 1))()
        assert breaker.state is State.OPEN

    async def test_resilience_too(self) -> None:
        options = CallOptions(timeout=None, retries=1, fallback=lambda: "instead")
        assert await resilient(options)(Service())() == "instead"


class TestSingleFlight:
    """A call that asks for its own answer, however far away, does not wait for itself."""

    OPTIONS = CallOptions(timeout=5.0, retries=1, cache_key="k", strategy="thread")

    async def test_from_a_task_that_it_started(self) -> None:
        caller = ResilientCaller(TTLCache())

        async def inner() -> int:
            return 42

        async def outer() -> int:
            return (await asyncio.gather(caller.acall(inner, self.OPTIONS)))[0]

        async with asyncio.timeout(3):
            assert await caller.acall(outer, self.OPTIONS) == 42

    def test_from_another_thread(self) -> None:
        caller = ResilientCaller(TTLCache())
        assert caller.call(lambda: caller.call(lambda: 42, self.OPTIONS), self.OPTIONS) == 42

    def test_from_a_fan_out(self) -> None:
        caller = ResilientCaller(TTLCache())

        def outer() -> Any:
            return gather({"self": lambda: caller.call(lambda: 42, self.OPTIONS)}).results["self"]

        assert caller.call(outer, self.OPTIONS) == 42


class TestErrors:
    @pytest.mark.parametrize(
        "error",
        [
            PolicyError("retries", 0, "a whole number from 1 to 20"),
            CircuitBreakerOpen("posts", 1.0),
            CircuitForcedOpen("posts", None),
            CallTimeout(0.5),
            RateLimited(1, 2.0, 3.0),
            BulkheadFull("all slots are taken"),
            CachedFailure("no user 7"),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_they_cross_processes_and_are_copied(self, error: Exception) -> None:
        for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
            assert (type(other), str(other)) == (type(error), str(error))


class TestRetryAfter:
    @pytest.mark.parametrize("said", ["1.5", " 1.5 ", 1.5])
    def test_numbers(self, said: Any) -> None:
        error = Boom()
        error.retry_after = said  # type: ignore[attr-defined]
        assert retry_after(error) == 1.5

    @pytest.mark.parametrize(
        "form",
        [
            lambda at: format_datetime(at, usegmt=True),
            lambda at: at.strftime("%A, %d-%b-%y %H:%M:%S GMT"),
            lambda at: at.strftime("%a, %d %b %Y %H:%M:%S -0000"),
            lambda at: format_datetime(at.astimezone(None)),
        ],
        ids=["IMF", "RFC 850", "without a zone", "another zone"],
    )
    def test_dates(self, form: Callable[[datetime], str]) -> None:
        for offset, low, high in ((3600, 3000, 3601), (-3600, 0, 0)):
            error = Boom()
            error.retry_after = form(datetime.now(UTC) + timedelta(seconds=offset))  # type: ignore[attr-defined]
            assert low <= (retry_after(error) or 0) <= high

    @pytest.mark.parametrize("said", ["", "soon", "Wed, 99 Foo 2026", object(), b"x", [7]])
    def test_what_cannot_be_read_says_nothing(self, said: Any) -> None:
        error = Boom()
        error.retry_after = said  # type: ignore[attr-defined]
        assert retry_after(error) is None
