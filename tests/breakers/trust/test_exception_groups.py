"""Rules look into exception groups."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from breakers import (
    BulkheadFull,
    CallTimeout,
    CircuitBreaker,
    CircuitBreakerOpen,
    Fallback,
    ResilientCaller,
    TTLCache,
)
from breakers.calls.retries import retry_after
from breakers.integrations.asgi import BreakerMiddleware
from breakers.integrations.error_responses import refusal_in
from tests.breakers.trust.callees import Charge, caller, options


def group(*errors: Exception) -> ExceptionGroup[Exception]:
    return ExceptionGroup("tasks", [ExceptionGroup("inner", errors)])


def opened() -> CircuitBreakerOpen:
    return CircuitBreakerOpen("posts", 12.5)


class TestExceptionGroups:
    def attempts(self, error: Exception, **fields: Any) -> int:
        charge = Charge(error)
        with pytest.raises(ExceptionGroup):
            caller.call(charge, options(**fields))
        return charge.made

    @pytest.mark.parametrize("error", [opened(), BulkheadFull("full")], ids=["open", "full"])
    def test_a_refusal_in_one_is_not_retried(self, error: Exception) -> None:
        assert self.attempts(group(error)) == 1
        assert self.attempts(group(OSError(), error)) == 1

    def test_one_is_retried_if_each_of_its_errors_is(self) -> None:
        assert self.attempts(group(OSError(), OSError()), retry_on=OSError) == 3
        assert self.attempts(group(OSError(), KeyError()), retry_on=OSError) == 1
        rule = lambda error: isinstance(error, OSError)  # noqa: E731
        assert self.attempts(group(OSError()), retry_on=rule) == 3
        assert self.attempts(group(OSError()), retry_on=ExceptionGroup) == 3

    async def test_a_task_group_in_front_of_an_open_breaker_asks_it_once(self) -> None:
        breaker, asked = CircuitBreaker(1, registry=None), 0

        async def ask() -> None:
            nonlocal asked
            asked += 1
            await breaker.acall(asyncio.sleep, 0)

        async def both() -> None:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(ask())

        breaker.set_override("forced_open")
        with pytest.raises(ExceptionGroup):
            await caller.acall(both, options())
        assert asked == 1

    @pytest.mark.parametrize(
        ("errors", "outcome"),
        [
            ([KeyError(), KeyError()], "ignored"),
            ([KeyError(), OSError()], "failure"),
            ([CallTimeout(1.0), KeyError()], "timeout"),
            ([CallTimeout(1.0), OSError()], "failure"),
        ],
    )
    def test_a_breaker_looks_into_them(self, errors: list[Exception], outcome: str) -> None:
        breaker = CircuitBreaker(registry=None, ignore=KeyError)
        with pytest.raises(ExceptionGroup):
            breaker.call(Charge(group(*errors)))
        counts = breaker.snapshot().counts
        assert {name: n for name, n in counts.items() if n} == {outcome: 1}

    async def test_a_breaker_that_awaits_its_rules_does_too(self) -> None:
        async def is_key_error(error: Exception) -> bool:
            return isinstance(error, KeyError)

        async def fail() -> None:
            raise group(KeyError(), KeyError())

        breaker = CircuitBreaker(1, registry=None, ignore=is_key_error)
        with pytest.raises(ExceptionGroup):
            await breaker.acall(fail)
        assert breaker.snapshot().counts["ignored"] == 1

    def test_a_cancellation_in_one_says_nothing(self) -> None:
        breaker = CircuitBreaker(1, registry=None)

        def fail() -> None:
            raise BaseExceptionGroup("tasks", [asyncio.CancelledError(), OSError()])

        with pytest.raises(BaseExceptionGroup):
            breaker.call(fail)
        assert breaker.state == "closed"

    def test_map_errors_looks_into_them(self) -> None:
        made = options(retries=1, map_errors={OSError: LookupError})
        with pytest.raises(LookupError):
            caller.call(Charge(group(OSError("down"))), made)
        with pytest.raises(ExceptionGroup):
            caller.call(Charge(group(OSError(), KeyError())), made)

    def test_fallbacks_and_ignored_errors_do(self) -> None:
        made = options(retries=1, fallback=Fallback(lambda: "fallback", on=OSError))
        assert caller.call(Charge(group(OSError())), made) == "fallback"
        breaker = CircuitBreaker(registry=None, ignore=KeyError)
        made = options(retries=1, circuit_breaker=breaker, fallback=lambda: "fallback")
        with pytest.raises(ExceptionGroup):
            caller.call(Charge(group(KeyError())), made)

    def test_negative_caching_does(self) -> None:
        charge, kept = Charge(group(KeyError("none"))), ResilientCaller(TTLCache())
        made = options(retries=1, cache_key="k", negative_on=(KeyError,))
        with pytest.raises(ExceptionGroup):
            kept.call(charge, made)
        with pytest.raises(KeyError):
            kept.call(charge, made)
        assert charge.made == 1

    def test_the_longest_pause_that_one_asks_for_counts(self) -> None:
        class Busy(Exception):
            def __init__(self, retry_after: float) -> None:
                self.retry_after = retry_after

        assert retry_after(group(Busy(2), OSError(), Busy(7))) == 7

    @pytest.mark.parametrize(
        ("errors", "status"),
        [
            ([opened()], 503),
            ([opened(), BulkheadFull("full")], 503),
            ([CallTimeout(1.0)], 504),
            ([CallTimeout(1.0), opened()], 503),
            ([opened(), ValueError("a bug")], 500),
        ],
    )
    async def test_a_web_service_answers_as_for_their_errors(
        self, errors: list[Exception], status: int
    ) -> None:
        async def view(request: Request) -> PlainTextResponse:
            raise group(*errors)

        app = Starlette(routes=[Route("/", view)])
        app.add_middleware(BreakerMiddleware, deadline=5.0)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            response = await client.get("/")
        assert response.status_code == status

    def test_a_refusal_among_other_errors_is_no_refusal(self) -> None:
        assert isinstance(refusal_in(group(opened())), CircuitBreakerOpen)
        assert refusal_in(group(opened(), ValueError())) is None
