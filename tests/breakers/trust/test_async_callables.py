"""Async callables not recognised: what is awaited is judged when it is awaited."""

from __future__ import annotations

import asyncio
import functools
import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from breakers import CallOptions, CircuitBreaker, CircuitBreakerOpen, ResilientCaller, resilient
from breakers.testing import FakeClock


class Down(Exception):
    pass


async def down(*args: Any) -> None:
    raise Down


class Client:
    async def __call__(self, *args: Any) -> None:
        raise Down

    async def fetch(self) -> None:
        raise Down


def _under_a_static_method(breaker: CircuitBreaker) -> Callable[[], Any]:
    class Posts:
        load = breaker(staticmethod(down))  # type: ignore[arg-type]

    return Posts().load  # type: ignore[return-value]


def _under_a_class_method(breaker: CircuitBreaker) -> Callable[[], Any]:
    class Posts:
        load = breaker(classmethod(down))  # type: ignore[arg-type]

    return Posts.load  # type: ignore[return-value]


WAYS: dict[str, Callable[[CircuitBreaker], Callable[[], Any]]] = {
    "async def": lambda breaker: breaker(down),
    "object with async __call__": lambda breaker: breaker(Client()),
    "bound method": lambda breaker: breaker(Client().fetch),
    "partial of async def": lambda breaker: breaker(functools.partial(down, 1)),
    "partial of such an object": lambda breaker: breaker(functools.partial(Client(), 1)),
    "partial of a partial": lambda b: b(functools.partial(functools.partial(Client(), 1), 2)),
    "lambda": lambda breaker: breaker(lambda: down()),
    "singledispatch": lambda breaker: functools.partial(breaker(functools.singledispatch(down)), 1),
    "above @staticmethod": _under_a_static_method,
    "above @classmethod": _under_a_class_method,
    "call of async def": lambda breaker: lambda: breaker.call(down),
    "call of a lambda": lambda breaker: lambda: breaker.call(lambda: down()),
    "a task": lambda breaker: lambda: breaker.call(lambda: asyncio.ensure_future(down())),
}


@pytest.mark.parametrize("way", WAYS)
async def test_failures_open_the_breaker(way: str) -> None:
    breaker = CircuitBreaker(3, registry=None)
    call, seen = WAYS[way](breaker), []
    for _ in range(5):
        try:
            await call()
        except (Down, CircuitBreakerOpen) as error:
            seen.append(type(error).__name__)
        await asyncio.sleep(0)
    counts = breaker.snapshot().counts
    assert seen == ["Down"] * 3 + ["CircuitBreakerOpen"] * 2
    assert (breaker.state, counts["success"], counts["failure"]) == ("open", 0, 3)
    assert breaker.snapshot().in_flight == 0


@pytest.mark.parametrize("way", ["lambda", "async def", "object with async __call__"])
async def test_a_decorator_of_options_retries_them(way: str) -> None:
    made = 0

    async def flaky() -> str:
        nonlocal made
        made += 1
        if made < 3:
            raise Down
        return "up"

    class Flaky:
        async def __call__(self) -> str:
            return await flaky()

    funcs: dict[str, Any] = {
        "lambda": lambda: flaky(),
        "async def": flaky,
        "object with async __call__": Flaky(),
    }
    options = CallOptions(timeout=5.0, retry_delay=0.0, circuit_breaker=CircuitBreaker())
    assert await resilient(options)(funcs[way])() == "up"
    assert made == 3


async def test_a_sync_call_of_a_coroutine_function_is_made_when_it_is_awaited() -> None:
    made = 0

    async def flaky() -> str:
        nonlocal made
        made += 1
        if made < 2:
            raise Down
        return "up"

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        options = CallOptions(timeout=5.0, retry_delay=0.0, circuit_breaker=CircuitBreaker())
        call: Awaitable[str] = ResilientCaller().call(flaky, options)  # type: ignore[assignment]
        assert made == 0
        assert await call == "up"
    assert made == 2


class TestPlainFunctionsInAsyncCalls:
    @pytest.mark.parametrize("fields", [{}, {"timeout": 5.0}, {"hedge_delay": 1.0}])
    async def test_the_function_is_run_once_and_nothing_is_held_against_it(
        self, fields: dict[str, Any]
    ) -> None:
        paid, breaker = 0, CircuitBreaker(1, registry=None)

        def pay() -> str:
            nonlocal paid
            paid += 1
            return "receipt"

        given = {"timeout": None, "retry_delay": 0.0, "circuit_breaker": breaker, **fields}
        options = CallOptions(**given, fallback=lambda: "hidden")
        with pytest.raises(TypeError):
            await ResilientCaller().acall(pay, options)  # type: ignore[arg-type]
        assert (paid, breaker.state, breaker.snapshot().in_flight) == (1, "closed", 0)

    async def test_a_breaker_holds_nothing_against_it(self) -> None:
        breaker = CircuitBreaker(1, registry=None)
        with pytest.raises(TypeError):
            await breaker.acall(lambda: "receipt")  # type: ignore[arg-type,return-value]
        assert (breaker.state, breaker.snapshot().in_flight) == ("closed", 0)

    async def test_a_type_error_of_the_callee_is_the_callees(self) -> None:
        async def wrong() -> None:
            raise TypeError("object int can't be used in 'await' expression")

        breaker = CircuitBreaker(1, registry=None)
        with pytest.raises(TypeError):
            await breaker.acall(wrong)
        assert breaker.state == "open"


class TestCoroutinesOfAPlainCall:
    async def test_one_that_is_never_awaited_holds_no_permit(self) -> None:
        clock = FakeClock()
        breaker = CircuitBreaker(1, 10, registry=None, clock=clock, open_jitter=0.0)
        with pytest.raises(Down):
            await breaker.acall(down)
        clock.advance(11)
        breaker.call(down).close()  # type: ignore[attr-defined]
        shot = breaker.snapshot()
        assert (shot.state, shot.in_flight) == ("half_open", 0)
        with pytest.raises(Down):
            await breaker.acall(down)

    async def test_one_that_is_refused_when_it_is_awaited_is_closed(self) -> None:
        breaker = CircuitBreaker(1, registry=None)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            call: Any = breaker.call(down)
            breaker.set_override("forced_open")
            with pytest.raises(CircuitBreakerOpen):
                await call
            del call

    async def test_it_can_be_a_task(self) -> None:
        async def answer() -> int:
            return 42

        breaker = CircuitBreaker(registry=None)
        assert await asyncio.create_task(breaker.call(answer)) == 42  # type: ignore[arg-type]
        assert breaker.snapshot().counts["success"] == 1

    async def test_a_cancelled_future_says_nothing(self) -> None:
        breaker = CircuitBreaker(1, registry=None)
        future: asyncio.Future[None] = breaker.call(asyncio.get_running_loop().create_future)
        future.cancel()
        await asyncio.sleep(0)
        assert (breaker.state, breaker.snapshot().in_flight) == ("closed", 0)


def test_a_breaker_above_a_plain_class_method_works() -> None:
    breaker = CircuitBreaker(1, registry=None)

    class Posts:
        @breaker
        @classmethod
        def load(cls) -> str:
            return cls.__name__

        @resilient(CallOptions(timeout=None))  # type: ignore[arg-type]
        @staticmethod
        def save() -> str:
            return "saved"

    assert (Posts.load(), Posts().load(), Posts.save(), Posts().save()) == (
        "Posts",
        "Posts",
        "saved",
        "saved",
    )
    assert breaker.snapshot().counts["success"] == 2
