"""Uses that are odd, and misuses: what hurts elsewhere in the field."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import copy
import dataclasses
import functools
import pickle
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from breakers import (
    AdaptiveLimit,
    Bulkhead,
    BulkheadFull,
    CachedFailure,
    CallInterrupted,
    CallOptions,
    CallTimeout,
    CircuitBreaker,
    CircuitBreakerOpen,
    CircuitForcedOpen,
    Deadline,
    IsolationExhausted,
    Policy,
    PolicyError,
    RateLimited,
    RateLimiter,
    Registry,
    ResilientCaller,
    RetryBudget,
    State,
    TTLCache,
    gather,
    remaining,
    resilient,
    timeout,
)
from breakers.calls.alarms import SignalAlarm
from breakers.calls.isolation import IsolationPool
from breakers.calls.retries import retry_after
from breakers.circuit import admission
from breakers.testing import FakeClock


class Boom(Exception):
    pass


def fail() -> None:
    raise Boom


async def afail(*_: object) -> None:
    raise Boom


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


class TestMisuse:
    @pytest.mark.parametrize(
        "name", ["circuit_breaker", "bulkhead", "rate_limiter", "retry_budget"]
    )
    def test_a_part_of_another_kind_is_named(self, name: str) -> None:
        with pytest.raises(PolicyError) as wrong:
            CallOptions(timeout=None, **{name: "posts"})  # type: ignore[arg-type]
        assert wrong.value.field == name

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, 0, "5", True, [], None])
    def test_no_odd_number_gets_in(self, value: Any) -> None:
        makes: dict[str, Callable[[], object]] = {
            "timeout_duration": lambda: CircuitBreaker(timeout_duration=value),
            "cache_ttl": lambda: CallOptions(timeout=None, cache_ttl=value),
            "per": lambda: RateLimiter(1, per=value),
            "tolerance": lambda: AdaptiveLimit(5, tolerance=value if value != float("inf") else -1),
            "seconds": lambda: timeout(value),
            "max_entries": lambda: TTLCache(value),
            "max_breakers": lambda: Registry(value),
            "max_threads": lambda: IsolationPool(value),
            "max_concurrent": lambda: Bulkhead(value),
            "calls": lambda: RateLimiter(value),
            "maximum": lambda: AdaptiveLimit(5, maximum=value),
            "window_size": lambda: Policy(window_size=value),
        }
        for field, make in makes.items():
            with pytest.raises(PolicyError) as wrong:
                make()
            assert wrong.value.field == field

    @pytest.mark.parametrize("value", [float("nan"), -1, "5", True, [], None])
    def test_nor_where_nothing_is_a_number_too(self, value: Any) -> None:
        makes: dict[str, Callable[[], object]] = {
            "max_wait": lambda: Bulkhead(1, max_wait=value),
            "ratio": lambda: RetryBudget(ratio=value),
            "burst": lambda: RetryBudget(burst=value),
            "retry_delay": lambda: CallOptions(timeout=None, retry_delay=value),
        }
        for field, make in makes.items():
            with pytest.raises(PolicyError) as wrong:
                make()
            assert wrong.value.field == field

    def test_fields_that_there_are_not_are_named(self) -> None:
        with pytest.raises(PolicyError, match="bogus is 1; it must be left out"):
            CircuitBreaker(bogus=1)
        with pytest.raises(TypeError, match="bogus"):
            CallOptions(timeout=1, bogus=1)  # type: ignore[call-arg]
        with pytest.raises(
            PolicyError, match="window_type is 'weird'; it must be one of count, time"
        ):
            CircuitBreaker(window_type="weird")

    def test_a_cache_of_coroutines_in_a_sync_call_is_a_miss(self) -> None:
        class Cache:
            async def get(self, key: str) -> Any:
                raise AssertionError("is not awaited")

            def set(self, key: str, value: Any, ttl: float) -> None:
                pass

        assert (
            ResilientCaller(Cache()).call(lambda: 42, CallOptions(timeout=None, cache_key="k"))
            == 42
        )

    def test_a_key_that_is_no_text_becomes_one(self) -> None:
        caller = ResilientCaller(TTLCache())
        options = CallOptions(timeout=None, retries=1, cache_key=lambda n: n, stale_ttl=60.0)  # type: ignore[arg-type,return-value]
        assert [caller.call(lambda n: n, options, n) for n in (7, 8, 7)] == [7, 8, 7]
        with pytest.raises(ZeroDivisionError):
            caller.call(lambda n: 1 // n, options, 0)


def test_a_window_that_holds_fewer_calls_than_the_minimum_trips_when_it_is_full() -> None:
    breaker = CircuitBreaker(None, failure_rate_threshold=0.5, window_size=5, minimum_calls=10)
    for _ in range(5):
        with pytest.raises(Boom):
            breaker.call(fail)
    assert breaker.state is State.OPEN


def test_options_are_varied() -> None:
    options = CallOptions(timeout=1.0, retries=2)
    assert dataclasses.replace(options, retries=5).retries == 5


def test_an_isolated_call_sees_its_callers_context() -> None:
    user: contextvars.ContextVar[int] = contextvars.ContextVar("user")
    user.set(7)
    options = CallOptions(timeout=5.0, strategy="thread")
    assert ResilientCaller().call(user.get, options) == 7


@pytest.mark.parametrize("strategy", ["auto", "thread", "cooperative"])
def test_no_inner_deadline_exceeds_an_outer_one(strategy: Any) -> None:
    caller = ResilientCaller()
    inner = CallOptions(timeout=50.0, deadline=100.0, strategy=strategy)

    def nested() -> float | None:
        return caller.call(remaining, inner)

    def block() -> float | None:
        with timeout(50.0):
            return remaining()

    for func in (nested, block):
        for outer in ({"timeout": 5.0}, {"timeout": None, "deadline": 5.0}):
            left = caller.call(func, CallOptions(strategy=strategy, **outer))  # type: ignore[arg-type]
            assert left is not None
            assert left <= 5.0


@pytest.mark.parametrize("answer", [None, 0, "", [], False])
def test_every_answer_is_kept(answer: Any) -> None:
    caller, asked = ResilientCaller(TTLCache()), []

    def service() -> Any:
        asked.append(1)
        return answer

    for _ in range(2):
        assert caller.call(service, CallOptions(timeout=None, cache_key="k")) == answer
    assert asked == [1]


def test_one_odd_latency_at_the_start_does_not_spoil_an_adaptive_limit() -> None:
    limit = AdaptiveLimit(20, clock=FakeClock())
    for _ in range(20):
        limit.acquire()
    limit.observe(0.0)
    for _ in range(200):
        limit.observe(0.015)
    assert limit.max_concurrent >= 20


def test_an_interrupted_waiter_leaves_a_thread_that_is_counted_as_stranded() -> None:
    pool, never = IsolationPool(1), threading.Event()
    job = pool.start(never.wait)
    done = job.done

    class Interrupted:
        def wait(self, seconds: float | None = None) -> bool:
            raise KeyboardInterrupt

        def set(self) -> None:
            done.set()

    job.done = Interrupted()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        pool.result(job, Deadline.after(5))
    assert pool.stranded == 1
    never.set()
    assert done.wait(5)
    assert pool.stranded == 0


async def test_a_cancelled_probe_gives_its_permit_back() -> None:
    clock = FakeClock()
    breaker = CircuitBreaker(1, 30, success_threshold=1, clock=clock)
    with pytest.raises(Boom):
        breaker.call(fail)
    clock.advance(30)
    probe = asyncio.create_task(breaker.acall(asyncio.Event().wait))
    await asyncio.sleep(0)
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    assert await breaker.acall(asyncio.sleep, 0, "answer") == "answer"
    assert breaker.state is State.CLOSED


class TestABlockInACoroutine:
    """An alarm that rings while the block's task awaits would hit whoever runs then."""

    def test_the_loop_is_left_alone_and_the_block_is_late(self) -> None:
        async def main() -> None:
            with timeout(0.02):
                await asyncio.sleep(0.05)

        with pytest.raises(CallTimeout):
            asyncio.run(main())

    def test_so_are_other_tasks(self) -> None:
        seen: list[str] = []

        async def busy() -> None:
            clock = asyncio.get_running_loop().time
            end = clock() + 0.06
            while clock() < end:
                pass
            seen.append("undisturbed")

        async def guarded() -> None:
            try:
                with timeout(0.02):
                    await asyncio.sleep(0.08)
            except CallTimeout:
                seen.append("late")

        async def main() -> None:
            await asyncio.gather(guarded(), busy())

        asyncio.run(main())
        assert seen == ["undisturbed", "late"]

    def test_what_does_not_await_is_interrupted(self) -> None:
        async def main() -> None:
            with timeout(0.02):
                threading.Event().wait(30)

        with pytest.raises(CallTimeout):
            asyncio.run(main())


def test_one_timeout_bounds_block_after_block_but_not_two_at_once() -> None:
    bound = timeout(5.0)
    for _ in range(2):
        with bound:
            pass
    with bound, pytest.raises(RuntimeError, match="entered already"), bound:
        pass
    assert remaining() is None


def test_where_no_thread_was_free_the_callee_did_not_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, never, breaker = IsolationPool(1), threading.Event(), CircuitBreaker(1)
    monkeypatch.setattr("breakers.calls.thread_timeouts.isolation", pool)
    pool.start(never.wait)
    options = CallOptions(timeout=1.0, retries=1, circuit_breaker=breaker, strategy="thread")
    with pytest.raises(IsolationExhausted):
        ResilientCaller().call(int, options)
    never.set()
    counts = breaker.snapshot().counts
    assert (breaker.state, counts["failure"], counts["ignored"]) == (State.CLOSED, 0, 1)


@pytest.mark.parametrize("name", [5, b"posts", ["posts"], "x" * 121, "two\nlines"])
def test_a_name_that_no_wire_can_carry_is_refused(name: Any) -> None:
    with pytest.raises(PolicyError, match="1 to 120 visible characters"):
        CircuitBreaker(name=name, registry=None)


async def test_two_deadlines_that_end_at_the_same_moment_leave_no_cancellation_behind() -> None:
    caller, options = ResilientCaller(), CallOptions(timeout=0.01, retries=1)

    async def slow() -> None:
        await asyncio.sleep(30)

    async def outer() -> None:
        await caller.acall(slow, options)

    with pytest.raises(CallTimeout):
        await caller.acall(outer, options)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_cancelled_hedge_leaves_no_task_behind() -> None:
    options = CallOptions(timeout=5.0, hedge_delay=0.0, hedge_attempts=3)
    hedge = asyncio.create_task(ResilientCaller().acall(asyncio.Event().wait, options))
    while len(asyncio.all_tasks()) < 5:
        await asyncio.sleep(0)
    hedge.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hedge
    assert len(asyncio.all_tasks()) == 1


class TestRulesThatFail:
    """The caller hears of it, and the call is over for the breaker: nothing stays held."""

    def half_open(self, **rules: Any) -> CircuitBreaker:
        breaker = CircuitBreaker(**rules)
        breaker.set_override("forced_open")
        breaker.set_override(None)
        assert breaker.state is State.HALF_OPEN
        return breaker

    def test_a_result_predicate(self) -> None:
        breaker = self.half_open(is_failure=lambda answer: answer > 0)
        for _ in range(2):
            with pytest.raises(TypeError):
                breaker.call(str)
        assert breaker.snapshot().in_flight == 0

    @pytest.mark.parametrize("rule", ["record", "ignore"])
    def test_a_rule_of_errors(self, rule: str) -> None:
        breaker = self.half_open(**{rule: lambda error: error.no_such_thing})
        for _ in range(2):
            with pytest.raises(AttributeError):
                breaker.call(fail)
        assert breaker.snapshot().in_flight == 0


def test_an_alarm_does_not_ring_into_the_middle_of_counting() -> None:
    interrupted: list[str] = []

    def asked_for_jitter() -> float:
        frame = sys._getframe(1)
        alarm = bound._alarm
        assert isinstance(alarm, SignalAlarm)
        while bound._deadline.remaining() > 0:
            time.sleep(0.005)
        try:
            alarm._ring(signal.SIGALRM, frame)
        except CallInterrupted:
            interrupted.append(frame.f_code.co_name)
        return 0.0

    breaker = CircuitBreaker(1, random=asked_for_jitter)
    bound = timeout(0.3)
    with pytest.raises(CallTimeout), bound:
        signal.setitimer(signal.ITIMER_REAL, 0)
        with pytest.raises(Boom):
            breaker.call(fail)
        # Once that is done, it rings again.
        threading.Event().wait(30)
    assert interrupted == []
    assert breaker.state is State.OPEN


@pytest.mark.parametrize("way", ["call", "decorated", "block", "caller"])
def test_a_callee_that_is_written_in_c_is_interrupted_on_every_way_in(way: str) -> None:
    breaker, sleep = CircuitBreaker(), time.sleep
    with pytest.raises(CallTimeout):
        if way == "caller":
            options = CallOptions(timeout=0.02, retries=1, circuit_breaker=breaker)
            ResilientCaller().call(sleep, options, 30)
        with timeout(0.02):
            if way == "call":
                breaker.call(sleep, 30)
            elif way == "decorated":
                breaker(sleep)(30)
            else:
                with breaker:
                    sleep(30)
    assert breaker.snapshot().counts["timeout"] == 1
    assert breaker.snapshot().in_flight == 0


@pytest.mark.skipif(
    not admission.COMPILED, reason="plain Python may lose the end of a call to an alarm"
)
def test_a_storm_of_alarms_leaves_no_call_open_and_no_lock_held() -> None:
    breaker = CircuitBreaker(failure_threshold=None)

    def work(n: int) -> int:
        if n % 5 == 0:
            raise Boom
        return sum(range(n))

    late = 0
    for n in range(150):
        try:
            with timeout(0.0002 + n % 10 * 0.0001):
                while True:
                    with contextlib.suppress(Boom):
                        breaker.call(work, n % 50)
        except CallTimeout:
            late += 1
    shot = breaker.snapshot()
    assert (late, shot.in_flight, breaker._guard.is_busy) == (150, 0, False)
    ended = (shot.counts[name] for name in ("success", "failure", "timeout", "ignored"))
    assert sum(ended) == sum(shot.buckets.values())
