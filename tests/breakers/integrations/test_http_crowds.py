"""Many at once, and probes: what HTTP clients count stays exact, and nothing leaks."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from typing import Any

import httpx
import pytest
import requests

from breakers import (
    CircuitBreaker,
    CircuitBreakerOpen,
    State,
)
from tests.breakers.integrations.conftest import AsyncHttpx, Httpx, Requests, counts
from tests.breakers.integrations.service import Service

BROKEN = (httpx.TransportError, requests.RequestException)


class TestThreads:
    @pytest.mark.parametrize("make", [Httpx, Requests])
    def test_eight_of_them_lose_no_count(self, make: Any, service: Service) -> None:
        own = CircuitBreaker(failure_threshold=None)
        client = make(breaker=own, retries=1)
        for n in range(160):
            if n % 4 == 0:
                service.answers(503)
            elif n % 4 == 1:
                service.breaks_off()
            else:
                service.answers(200)

        def ask() -> None:
            for _ in range(20):
                with contextlib.suppress(*BROKEN):
                    client("GET", service.url)

        crowd = [threading.Thread(target=ask) for _ in range(8)]
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join(60)
        assert counts(own) == {"success": 80, "failure": 80}


class TestCoroutines:
    def test_a_hundred_at_once_lose_no_count(self, service: Service) -> None:
        own = CircuitBreaker(failure_threshold=None)
        client = AsyncHttpx(breaker=own, retries=1)
        for n in range(100):
            if n % 4 == 0:
                service.answers(503)
            elif n % 4 == 1:
                service.breaks_off()
            else:
                service.answers(200)

        async def ask() -> None:
            calls = (client.client.get(service.url) for _ in range(100))
            await asyncio.gather(*calls, return_exceptions=True)

        client.loop.run_until_complete(ask())
        assert counts(own) == {"success": 50, "failure": 50}

    def test_cancelled_ones_leave_nothing_behind(self, service: Service) -> None:
        own = CircuitBreaker(failure_threshold=None)
        limits = httpx.Limits(max_connections=3)
        inner = httpx.AsyncHTTPTransport(verify=False, limits=limits)
        client = AsyncHttpx(breaker=own, transport=inner)
        chance = random.Random(7)

        async def ask() -> None:
            tasks = []
            for n in range(60):
                if n % 3 == 0:
                    service.drips(3, 0.005)
                tasks.append(asyncio.create_task(client.client.get(service.url)))
                await asyncio.sleep(chance.random() * 0.01)
                chance.choice(tasks).cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            service.plan.clear()
            again = [client.client.get(service.url) for _ in range(3)]
            assert [answer.text for answer in await asyncio.gather(*again)] == ["answer"] * 3

        client.loop.run_until_complete(ask())
        told = counts(own)
        assert "in flight" not in told
        assert "failure" not in told


class TestProbes:
    def test_a_body_holds_the_probes_place_until_it_has_ended(self, service: Service) -> None:
        own = CircuitBreaker(success_threshold=1)
        client = Httpx(breaker=own).client
        own.set_override("forced_open")
        own.set_override(None)
        with client.stream("GET", service.url) as probe:
            assert own.state is State.HALF_OPEN
            with pytest.raises(CircuitBreakerOpen):
                client.get(service.url)
            probe.read()
        assert own.state is State.CLOSED

    def test_one_that_breaks_off_opens_it_again(self, service: Service) -> None:
        own = CircuitBreaker()
        client = Httpx(breaker=own, retries=1)
        own.set_override("forced_open")
        own.set_override(None)
        service.breaks_off()
        with pytest.raises(BROKEN):
            client("GET", service.url)
        assert own.state is State.OPEN
