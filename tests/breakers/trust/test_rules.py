"""Rules of ours: their errors, rules that are coroutine functions, and exception groups."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from breakers import (
    CallOptions,
    CircuitBreaker,
    Fallback,
    PolicyError,
    ResilientCaller,
    RetryAttempt,
    TTLCache,
    resilient,
)
from breakers.integrations.httpx import AsyncResilientTransport, ResilientTransport
from breakers.integrations.requests import ResilientAdapter
from tests.breakers.trust.callees import Charge, caller, options


def broken(*args: Any) -> bool:
    raise TypeError("our own mistake")


async def abroken(*args: Any) -> bool:
    raise TypeError("our own mistake")


FOR_RESULTS = ["retry_on_result", "retry_if", "is_failure", "on_result"]


FOR_ERRORS = ["retry_on", "retry_if", "retry_pause", "record", "ignore", "on", "map_errors"]


def with_rule(name: str, rule: Callable[..., Any], breaker_fields: dict[str, Any]) -> CallOptions:
    fields: dict[str, Any] = {}
    if name in {"record", "ignore", "is_failure"}:
        breaker_fields[name] = rule
    elif name in {"on", "on_result"}:
        on: Any = rule if name == "on" else KeyError
        result = rule if name == "on_result" else None
        fields["fallback"] = Fallback(lambda: "fallback", on=on, on_result=result)
        fields["retries"] = 1
    elif name == "map_errors":
        fields[name], fields["retries"] = {Exception: rule}, 1
    else:
        fields[name] = rule
    breaker = CircuitBreaker(1, registry=None, **breaker_fields)
    return options(circuit_breaker=breaker, **fields)


class TestTheErrorOfARule:
    """It is raised at once: no retry, no fallback, nothing held against the callee."""

    @pytest.mark.parametrize("name", FOR_RESULTS)
    def test_after_a_success(self, name: str) -> None:
        charge, made = Charge(), with_rule(name, broken, {})
        with pytest.raises(TypeError, match="our own mistake"):
            caller.call(charge, made)
        assert charge.made == 1
        assert made.circuit_breaker is not None
        counts = made.circuit_breaker.snapshot().counts
        assert (counts["failure"], made.circuit_breaker.state) == (0, "closed")

    @pytest.mark.parametrize("name", FOR_ERRORS)
    def test_after_an_error(self, name: str) -> None:
        charge = Charge(ConnectionError())
        with pytest.raises(TypeError, match="our own mistake"):
            caller.call(charge, with_rule(name, broken, {}))
        assert charge.made == 1

    @pytest.mark.parametrize("rule", [broken, abroken], ids=["sync", "async"])
    @pytest.mark.parametrize("name", FOR_RESULTS)
    async def test_after_an_async_success(self, name: str, rule: Callable[..., Any]) -> None:
        charge, made = Charge(), with_rule(name, rule, {})

        async def acharge() -> str:
            return charge()

        with pytest.raises(TypeError, match="our own mistake"):
            await caller.acall(acharge, made)
        assert charge.made == 1
        assert made.circuit_breaker is not None
        assert made.circuit_breaker.snapshot().counts["failure"] == 0

    @pytest.mark.parametrize("rule", [broken, abroken], ids=["sync", "async"])
    @pytest.mark.parametrize("name", [each for each in FOR_ERRORS if each != "map_errors"])
    async def test_after_an_async_error(self, name: str, rule: Callable[..., Any]) -> None:
        charge = Charge(ConnectionError())

        async def acharge() -> str:
            return charge()

        with pytest.raises(TypeError, match="our own mistake"):
            await caller.acall(acharge, with_rule(name, rule, {}))
        assert charge.made == 1

    def test_a_fallback_does_not_hide_it(self) -> None:
        made = options(retry_on_result=broken, fallback=lambda: "fallback")
        with pytest.raises(TypeError, match="our own mistake"):
            caller.call(Charge(), made)

    def test_a_cache_key_that_fails_calls_nobody(self) -> None:
        charge = Charge()
        with pytest.raises(TypeError, match="our own mistake"):
            ResilientCaller(TTLCache()).call(charge, options(cache_key=broken))
        assert charge.made == 0

    @pytest.mark.parametrize("pause", [-1, float("inf"), float("nan"), "soon", None, True])
    def test_a_pause_that_is_no_time_is_one(self, pause: Any) -> None:
        charge = Charge(ConnectionError())
        with pytest.raises(TypeError, match="retry_pause returned"):
            caller.call(charge, options(retry_pause=lambda state: pause))
        assert charge.made == 1


async def yes(*args: Any) -> bool:
    return True


async def no(*args: Any) -> bool:
    return False


class TestCoroutineFunctionsAsRules:
    async def failing(self, **fields: Any) -> int:
        charge = Charge(ConnectionError())

        async def acharge() -> str:
            return charge()

        with pytest.raises(ConnectionError):
            await caller.acall(acharge, options(**fields))
        return charge.made

    @pytest.mark.parametrize("name", ["retry_on", "retry_if"])
    async def test_they_are_awaited_for_errors(self, name: str) -> None:
        assert (await self.failing(**{name: no}), await self.failing(**{name: yes})) == (1, 3)

    async def test_a_pause_is_awaited(self) -> None:
        async def pause(state: RetryAttempt) -> float:
            return 0.0

        assert await self.failing(retry_pause=pause) == 3

    async def test_they_are_awaited_for_results(self) -> None:
        for rule, attempts in ((no, 1), (yes, 3)):
            charge = Charge()

            async def acharge(charge: Charge = charge) -> str:
                return charge()

            assert await caller.acall(acharge, options(retry_on_result=rule)) == "receipt"
            assert charge.made == attempts

    async def test_hooks_are_awaited(self) -> None:
        seen: list[str] = []

        async def hook(record: Any) -> None:
            await asyncio.sleep(0)
            seen.append(type(record).__name__)

        await self.failing(on_retry=hook, on_attempt=hook, on_call=hook, retries=2)
        assert seen == ["CallRecord", "RetryAttempt", "CallRecord", "CallRecord"]

    async def test_a_cache_key_is_awaited(self) -> None:
        async def key() -> str:
            return "k"

        charge, kept = Charge(), ResilientCaller(TTLCache())

        async def acharge() -> str:
            return charge()

        for _ in range(2):
            assert await kept.acall(acharge, options(cache_key=key)) == "receipt"
        assert charge.made == 1

    @pytest.mark.parametrize(
        ("rule", "given", "state"),
        [
            ("is_failure", no, "closed"),
            ("is_failure", yes, "open"),
            ("ignore", yes, "closed"),
            ("ignore", no, "open"),
            ("record", yes, "open"),
            ("record", no, "closed"),
        ],
    )
    async def test_a_breakers_rules_are_awaited(self, rule: str, given: Any, state: str) -> None:
        breaker = CircuitBreaker(1, registry=None, **{rule: given})

        async def callee() -> None:
            if rule != "is_failure":
                raise ConnectionError

        async def in_a_block() -> None:
            async with breaker:
                await callee()

        for way in (lambda: breaker.acall(callee), breaker(callee), in_a_block):
            if rule == "is_failure" and way is in_a_block:
                continue
            breaker.reset()
            with contextlib.suppress(ConnectionError):
                await way()
            assert breaker.state == state

    async def test_a_caller_awaits_its_breakers_rules(self) -> None:
        breaker = CircuitBreaker(1, registry=None, ignore=yes)
        assert await self.failing(circuit_breaker=breaker, timeout=5.0) == 3
        assert breaker.state == "closed"
        fallback = options(circuit_breaker=breaker, fallback=lambda: "hidden")
        with pytest.raises(ConnectionError):
            await caller.acall(self._fail, fallback)

    async def _fail(self) -> None:
        raise ConnectionError

    @pytest.mark.parametrize("rule", ["record", "ignore", "is_failure"])
    def test_a_breaker_with_one_refuses_sync_calls_by_name(self, rule: str) -> None:
        breaker, charge = CircuitBreaker(registry=None, **{rule: no}), Charge()
        for way in (lambda: breaker.call(charge), breaker(charge), breaker.__enter__):
            with pytest.raises(TypeError, match=rule):
                way()
        with pytest.raises(TypeError, match=rule):
            caller.call(charge, options(circuit_breaker=breaker))
        assert charge.made == 0

    @pytest.mark.parametrize(
        "name",
        ["retry_on", "retry_on_result", "retry_if", "retry_pause", "on_retry", "on_attempt",
         "on_call", "cache_key"],
    )  # fmt: skip
    def test_a_sync_call_is_refused_by_name(self, name: str) -> None:
        charge, made = Charge(), options(**{name: no})
        with pytest.raises(TypeError, match=name):
            caller.call(charge, made)
        with pytest.raises(TypeError, match=name):
            resilient(made)(lambda: charge())
        assert charge.made == 0

    def test_what_is_never_awaited_is_refused_at_construction(self) -> None:
        class Metrics:
            async def increment(self, name: str) -> None: ...

            def histogram(self, name: str, value: float) -> None: ...

        with pytest.raises(TypeError, match="sleep is a coroutine function"):
            ResilientCaller(sleep=asyncio.sleep)
        with pytest.raises(TypeError, match=r"metrics\.increment"):
            ResilientCaller(metrics=Metrics())
        with pytest.raises(TypeError, match="listener"):
            CircuitBreaker(registry=None).add_listener(no)
        with pytest.raises(PolicyError, match="map_errors"):
            options(map_errors={Exception: no})
        for name in ("is_safe", "is_failure", "sleep"):
            for make in (ResilientTransport, ResilientAdapter):
                with pytest.raises(PolicyError, match=name):
                    make(**{name: no})

    async def test_an_async_client_awaits_its_rule(self) -> None:
        mock = httpx.MockTransport(lambda request: httpx.Response(200))
        breaker = CircuitBreaker(1, registry=None)
        transport = AsyncResilientTransport(mock, breaker=breaker, is_failure=yes, retries=1)
        async with httpx.AsyncClient(transport=transport) as client:
            await client.get("http://h")
        assert breaker.state == "open"
