"""The library as type checkers see it: mypy reads this in `make check`, nobody runs it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterator
from types import TracebackType
from typing import Any, assert_type

from breakers import (
    AdaptiveLimit,
    Bulkhead,
    CallOptions,
    CallTimeout,
    CircuitBreaker,
    CircuitBreakerOpen,
    CircuitForcedOpen,
    Deadline,
    FallbackValue,
    Gathered,
    Policy,
    PolicyError,
    RateLimited,
    RateLimiter,
    Registry,
    ResilientCaller,
    RetryAttempt,
    RetryBudget,
    Snapshot,
    State,
    TransitionRecord,
    TTLCache,
    agather,
    current_deadline,
    gather,
    hedged,
    registry,
    remaining,
    resilient,
    timeout,
)
from breakers.clock import Clock
from breakers.testing import FakeClock

breaker = CircuitBreaker(name="posts", failure_threshold=3, failure_rate_threshold=0.5)
options = CallOptions(timeout=2.0, retries=2, circuit_breaker=breaker, fallback=FallbackValue([]))
caller = ResilientCaller(TTLCache())


# -- Decorated functions keep their signatures ---------------------------------------------------


@breaker
def user(user_id: int, *, fresh: bool = False) -> str:
    return "Ada"


@breaker
async def auser(user_id: int, *, fresh: bool = False) -> str:
    return "Ada"


@breaker
def users(page: int) -> Iterator[str]:
    yield "Ada"


@breaker
def conversation(page: int) -> Generator[str, int, bool]:
    answer = yield "Ada"
    return answer > 0


@breaker
async def ausers(page: int) -> AsyncIterator[str]:
    yield "Ada"


@breaker
async def aconversation(page: int) -> AsyncGenerator[str, int]:
    yield "Ada"


@resilient(options)
def resilient_user(user_id: int) -> str:
    return "Ada"


@resilient(options, caller)
async def resilient_auser(user_id: int) -> str:
    return "Ada"


async def decorated() -> None:
    assert_type(user(7, fresh=True), str)
    pending: Coroutine[Any, Any, str] = auser(7)
    assert_type(await pending, str)
    assert_type(users(1), Iterator[str])
    assert_type(conversation(1), Generator[str, int, bool])
    assert_type(ausers(1), AsyncIterator[str])
    assert_type(aconversation(1), AsyncGenerator[str, int])
    assert_type(resilient_user(7), str)
    assert_type(await resilient_auser(7), str)

    # What the callee does not take is refused where it is written.
    user("7")  # type: ignore[arg-type]
    user(7, stale=True)  # type: ignore[call-arg]
    await auser()  # type: ignore[call-arg]
    users(page="1")  # type: ignore[arg-type]
    resilient_user("7")  # type: ignore[arg-type]


class Client:
    """Methods too."""

    @breaker
    def user(self, user_id: int) -> str:
        return "Ada"

    @breaker
    async def auser(self, user_id: int) -> str:
        return "Ada"


async def methods(client: Client) -> None:
    assert_type(client.user(7), str)
    assert_type(await client.auser(7), str)
    client.user("7")  # type: ignore[arg-type]


# -- Calls ---------------------------------------------------------------------------------------


def plain_function(user_id: int, *, fresh: bool = False) -> str:
    return "Ada"


async def aplain(user_id: int) -> str:
    return "Ada"


async def calls() -> None:
    assert_type(breaker.call(plain_function, 7, fresh=True), str)
    assert_type(await breaker.acall(aplain, 7), str)
    assert_type(caller.call(plain_function, options, 7), str)
    assert_type(await caller.acall(aplain, options, 7), str)
    assert_type(await hedged(0.05, 2, aplain, 7), str)
    breaker.call(plain_function, "7")  # type: ignore[arg-type]
    caller.call(plain_function, options, 7, stale=True)  # type: ignore[call-arg]
    await caller.acall(plain_function, options, 7)  # type: ignore[arg-type]


async def blocks() -> None:
    with breaker as entered:
        assert_type(entered, CircuitBreaker)
    async with breaker:
        pass
    with timeout(1.5) as deadline:
        assert_type(deadline, Deadline)
        assert_type(deadline.remaining(), float)
    with Bulkhead(2, max_wait=0.1), AdaptiveLimit(10):
        pass
    async with Bulkhead(2):
        pass
    assert_type(RateLimiter(10, per=1.0).acquire(), float)
    assert_type(await RateLimiter(10).aacquire(), float)


async def several() -> None:
    assert_type(gather({"posts": lambda: 1}, timeout=1.0), Gathered)
    assert_type(await agather({"posts": aposts}), Gathered)
    assert_type(gather({}).missing, tuple[str, ...])
    assert_type(current_deadline(), Deadline | None)
    assert_type(remaining(), float | None)


async def aposts() -> list[str]:
    return []


# -- Rules, hooks, what is told ------------------------------------------------------------------


class Down(Exception):
    def __init__(self, message: str) -> None:
        super().__init__(message)


def from_os(error: OSError) -> Down | None:
    return Down(str(error)) if error.errno else None


def is_failure(answer: str) -> bool:
    return not answer


def rules() -> None:
    CircuitBreaker(record=OSError, ignore=(KeyError, IndexError))
    CircuitBreaker(record=lambda error: "disk" in str(error), is_failure=is_failure)
    CircuitBreaker(map_errors={ConnectionError: Down, OSError: from_os})
    CircuitBreaker(map_errors={OSError: 7})  # type: ignore[dict-item]
    CallOptions(timeout=None, retry_on=(OSError,), negative_on=(KeyError,), on_retry=on_retry)
    CallOptions(
        timeout=None, cache_key=lambda user_id: f"user:{user_id}", retry_budget=RetryBudget()
    )
    CallOptions(timeout="soon")  # type: ignore[arg-type]
    CallOptions(timeout=1.0, strategy="magic")  # type: ignore[arg-type]
    Policy(failure_threshold=None, window_type="time")


def on_retry(attempt: RetryAttempt) -> None:
    assert_type(attempt.error, Exception | None)
    assert_type(attempt.pause_s, float)


def on_change(record: TransitionRecord) -> None:
    assert_type(record.after, State)
    assert_type(record.cause, str)


def noted() -> None:
    breaker.add_listener(on_change)
    breaker.add_listener(on_retry)  # type: ignore[arg-type]
    shot = breaker.snapshot()
    assert_type(shot, Snapshot)
    assert_type(shot.counts, dict[str, int])
    assert_type(shot.retry_after_s, float | None)
    assert_type(shot.window.failure_rate, float)
    assert_type(breaker.state, State)
    breaker.set_override(State.FORCED_OPEN, expires_in_s=60)
    breaker.set_override("metrics_only")
    breaker.state = State.OPEN  # type: ignore[misc]


def errors() -> None:
    try:
        breaker.call(plain_function, 7)
    except CircuitForcedOpen as refused:
        assert_type(refused.breaker, str)
    except CircuitBreakerOpen as refused:
        assert_type(refused.retry_after_s, float | None)
    except RateLimited as limited:
        assert_type(limited.retry_after_s, float)
    except CallTimeout as late:
        assert_type(late.timeout, float | None)
    except PolicyError as wrong:
        assert_type(wrong.field, str)


# -- What a user brings --------------------------------------------------------------------------


class MyCache:
    def get(self, key: str) -> Any:
        return None

    def set(self, key: str, value: Any, ttl: float) -> None:
        pass


class MyAsyncCache:
    async def get(self, key: str) -> Any:
        return None

    async def set(self, key: str, value: Any, ttl: float) -> None:
        pass


class MyMetrics:
    def increment(self, name: str) -> None:
        pass

    def histogram(self, name: str, value: float) -> None:
        pass


class NoCache:
    def get(self, key: str) -> Any:
        return None


def brought() -> None:
    ResilientCaller(MyCache(), MyMetrics())
    ResilientCaller(MyAsyncCache())
    ResilientCaller(NoCache())  # type: ignore[arg-type]
    clock: Clock = FakeClock()
    CircuitBreaker(clock=clock, registry=None)


def registries() -> None:
    mine = Registry(max_breakers=10)
    assert_type(mine.get("posts"), CircuitBreaker | None)
    assert_type(mine.get_or_create("posts", lambda: CircuitBreaker(name="posts")), CircuitBreaker)
    assert_type(registry.all(), list[CircuitBreaker])


# -- Places of its own, for integrations ---------------------------------------------------------


class Guarded:
    """Enters here and leaves there."""

    def __enter__(self) -> None:
        self.entry, self.start = breaker.enter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        breaker.leave(self.entry, self.start, error)


decorator: Callable[[Callable[[int], str]], Callable[[int], str]] = breaker
