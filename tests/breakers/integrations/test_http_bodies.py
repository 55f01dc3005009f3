"""Whatever a host sends and a reader reads: each attempt has one outcome, and leaves nothing."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from breakers import CallTimeout, CircuitBreaker
from breakers.deadline import bounded
from breakers.integrations.httpx import AsyncResilientTransport, ResilientTransport
from tests.breakers.integrations.conftest import counts


@dataclass
class Sent(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body of some chunks that may break off before its end."""

    chunks: int
    breaks_at: int | None = None
    closed: int = 0

    def __iter__(self) -> Iterator[bytes]:
        for n in range(self.chunks):
            if n == self.breaks_at:
                raise httpx.ReadError("broken off")
            yield b"."

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.closed += 1


@dataclass
class Plan:
    """What the host sends, and how many chunks are read before the response is closed."""

    status: int
    body: Sent
    read: int | None

    @property
    def outcome(self) -> str:
        end = self.body.chunks if self.read is None else min(self.read, self.body.chunks)
        breaks_at = self.body.breaks_at
        # Who reads to the end learns whether there is one; who reads `read` chunks, no more.
        reached = breaks_at is not None and breaks_at < end
        return "failure" if self.status == 500 or reached else "success"


bodies = st.builds(Sent, st.integers(0, 4), st.none() | st.integers(0, 4))
plans = st.lists(
    st.builds(Plan, st.sampled_from([200, 500]), bodies, st.none() | st.integers(0, 5)), max_size=8
)


def expected(plans: list[Plan]) -> dict[str, int]:
    outcomes = [plan.outcome for plan in plans]
    return {name: outcomes.count(name) for name in ("success", "failure") if name in outcomes}


def read(response: httpx.Response, chunks: int | None) -> None:
    parts = response.iter_raw()
    for _ in parts if chunks is None else range(chunks):
        if chunks is not None and next(parts, None) is None:
            return


async def aread(response: httpx.Response, chunks: int | None) -> None:
    parts = response.aiter_raw()
    if chunks is None:
        async for _ in parts:
            pass
    for _ in range(chunks or 0):
        if await anext(parts, None) is None:
            return


@settings(max_examples=60, deadline=None)
@given(plans)
def test_every_attempt_has_one_outcome(plans: list[Plan]) -> None:
    own, queue = CircuitBreaker(failure_threshold=None), iter(plans)

    def answer(request: httpx.Request) -> httpx.Response:
        plan = next(queue)
        return httpx.Response(plan.status, stream=plan.body)

    transport = ResilientTransport(httpx.MockTransport(answer), breaker=own, retries=1)
    with httpx.Client(transport=transport) as client:
        for plan in plans:
            with contextlib.suppress(httpx.ReadError), client.stream("GET", "http://h") as response:
                read(response, plan.read)
            assert plan.body.closed
    assert counts(own) == expected(plans)


@settings(max_examples=60, deadline=None)
@given(plans)
def test_so_it_has_for_coroutines(plans: list[Plan]) -> None:
    own, queue = CircuitBreaker(failure_threshold=None), iter(plans)

    def answer(request: httpx.Request) -> httpx.Response:
        plan = next(queue)
        return httpx.Response(plan.status, stream=plan.body)

    async def ask() -> None:
        transport = AsyncResilientTransport(httpx.MockTransport(answer), breaker=own, retries=1)
        async with httpx.AsyncClient(transport=transport) as client:
            for plan in plans:
                with contextlib.suppress(httpx.ReadError):
                    async with client.stream("GET", "http://h") as response:
                        await aread(response, plan.read)
                assert plan.body.closed

    asyncio.run(ask())
    assert counts(own) == expected(plans)


class TestResponsesThatAreNotReturned:
    """Each is closed: its connection would be lost to the pool."""

    def test_one_that_comes_too_late(self) -> None:
        own, body = CircuitBreaker(), Sent(1)

        def answer(request: httpx.Request) -> httpx.Response:
            time.sleep(0.03)
            return httpx.Response(200, stream=body)

        transport = ResilientTransport(httpx.MockTransport(answer), breaker=own)
        client = httpx.Client(transport=transport)
        with bounded(0.02), pytest.raises(CallTimeout):
            client.get("http://h")
        assert (bool(body.closed), counts(own)) == (True, {"timeout": 1})

    async def test_one_that_comes_although_it_was_called_off(self) -> None:
        own, body = CircuitBreaker(), Sent(1)

        async def answer(request: httpx.Request) -> httpx.Response:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(5)
            return httpx.Response(200, stream=body)

        transport = AsyncResilientTransport(httpx.MockTransport(answer), breaker=own)
        async with httpx.AsyncClient(transport=transport) as client:
            with bounded(0.02), pytest.raises(CallTimeout):
                await client.get("http://h")
        assert (bool(body.closed), counts(own)) == (True, {"timeout": 1})

    @pytest.mark.parametrize("retries", [1, 2])
    def test_one_that_cannot_be_judged(self, retries: int) -> None:
        own, body = CircuitBreaker(), Sent(1)

        def judge(response: Any) -> bool:
            raise KeyError("status")

        mock = httpx.MockTransport(lambda request: httpx.Response(200, stream=body))
        transport = ResilientTransport(mock, breaker=own, is_failure=judge, retries=retries)
        with httpx.Client(transport=transport) as client, pytest.raises(KeyError):
            client.get("http://h")
        assert body.closed
        assert "in flight" not in counts(own)
