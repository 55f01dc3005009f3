"""What HTTP clients repeat, and how long they take: one behaviour, against a real server."""

from __future__ import annotations

import asyncio
import io
import time
from typing import Any

import httpx
import pytest
import requests
from urllib3 import Timeout

from breakers import (
    CallTimeout,
    CircuitBreaker,
    CircuitBreakerOpen,
    timeout,
)
from breakers.deadline import bounded
from tests.breakers.integrations.conftest import AsyncHttpx, Httpx, MakeClient, Requests, counts
from tests.breakers.integrations.service import Service

BROKEN = (httpx.TransportError, requests.RequestException)


class TestRetries:
    @pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
    def test_what_is_idempotent_is_retried(
        self, client: Any, service: Service, method: str
    ) -> None:
        service.answers(503)
        assert client(method, service.url).status_code == 200
        assert [asked.method for asked in service.asked] == [method, method]
        assert client.slept == [0.5]
        assert counts(client.registry.get(service.host)) == {
            "failure": 1, "success": 1, "retry": 1,
        }  # fmt: skip

    @pytest.mark.parametrize("method", ["POST", "PATCH"])
    def test_what_is_not_is_made_once(self, client: Any, service: Service, method: str) -> None:
        service.answers(503)
        assert client(method, service.url, content=b"order").status_code == 503
        assert len(service.asked) == 1

    def test_a_key_makes_a_post_repeatable(self, client: Any, service: Service) -> None:
        service.answers(503)
        key = {"Idempotency-Key": "7"}
        assert client("POST", service.url, content=b"order", headers=key).status_code == 200
        assert [asked.body for asked in service.asked] == [b"order", b"order"]

    def test_so_does_the_callers_word(self, make_client: MakeClient, service: Service) -> None:
        client = make_client(is_safe=lambda request: request.method == "POST")
        service.answers(503)
        assert client("POST", service.url, content=b"search").status_code == 200
        service.answers(503)
        assert client("GET", service.url).status_code == 503

    def test_dropped_connections_are_retried(self, client: Any, service: Service) -> None:
        service.hangs_up()
        assert client("GET", service.url).status_code == 200
        assert len(service.asked) == 2

    def test_so_are_those_that_only_seemed_alive(self, client: Any, service: Service) -> None:
        for _ in range(20):
            service.answers_and_hangs_up()
        assert [client("GET", service.url).status_code for _ in range(20)] == [200] * 20

    def test_the_last_response_is_the_clients(self, client: Any, service: Service) -> None:
        service.answers(503, 503, 503)
        assert client("GET", service.url).text == "answer"
        assert client.slept == [0.5, 1.0]

    def test_retry_after_is_obeyed(self, client: Any, service: Service) -> None:
        service.answers(429, headers={"Retry-After": "7"})
        assert client("GET", service.url).status_code == 200
        assert client.slept == [7.0]

    def test_who_asks_for_more_than_the_deadline_is_not_asked_again(
        self, make_client: MakeClient, service: Service
    ) -> None:
        client = make_client(deadline=5.0)
        service.answers(503, headers={"Retry-After": "7"})
        assert client("GET", service.url).status_code == 503
        assert client.slept == []

    def test_a_response_is_closed_before_the_next_attempt(
        self, client: Any, service: Service
    ) -> None:
        for _ in range(3):
            service.answers(503)
            client("GET", service.url)
        assert counts(client.registry.get(service.host))["success"] == 3
        assert len({asked.port for asked in service.asked}) == 1, "and its connection kept alive"

    def test_nobody_waits_for_the_body_of_a_response_that_is_not_returned(
        self, client: Any, service: Service
    ) -> None:
        service.hangs(after=b"an apology of a thousand bytes", status=503)
        began = time.monotonic()
        assert client("GET", service.url).status_code == 200
        assert time.monotonic() - began < 4

    def test_retries_have_a_budget(self, make_client: MakeClient, service: Service) -> None:
        own = CircuitBreaker(failure_threshold=None)
        client = make_client(breaker=own)
        for _ in range(10):
            service.plan.clear()
            service.answers(503, 503, 503)
            client("GET", service.url)
        assert len(service.asked) <= 10 + 10 + 2, "the burst, and a fifth of the calls"

    def test_an_open_breaker_ends_the_attempts(self, client: Any, service: Service) -> None:
        service.answers(*[503] * 9)
        client("GET", service.url)
        with pytest.raises(CircuitBreakerOpen):
            client("GET", service.url)
        assert client.slept == [0.5, 1.0]


class TestTime:
    def test_the_client_gets_what_is_left(self, client: Any, service: Service) -> None:
        service.hangs()
        began = time.monotonic()
        with bounded(0.2), pytest.raises(CallTimeout) as raised:
            client("GET", service.url)
        assert time.monotonic() - began < 3
        assert isinstance(raised.value, httpx.TimeoutException | requests.Timeout)
        assert str(raised.value) == "no answer within 0.2 s"
        assert counts(client.registry.get(service.host)) == {"timeout": 1}

    def test_an_attempt_has_its_own_time(self, make_client: MakeClient, service: Service) -> None:
        client = make_client(timeout=0.5)
        service.hangs()
        assert client("GET", service.url).status_code == 200
        assert counts(client.registry.get(service.host)) == {
            "timeout": 1, "success": 1, "retry": 1,
        }  # fmt: skip

    def test_the_deadline_is_for_all_attempts(
        self, make_client: MakeClient, service: Service
    ) -> None:
        client = make_client(deadline=0.3, retry_delay=0.0)
        for _ in range(3):
            service.hangs()
        began = time.monotonic()
        with pytest.raises(CallTimeout):
            client("GET", service.url)
        assert time.monotonic() - began < 3
        assert len(service.asked) == 1

    def test_without_time_nobody_is_asked(self, client: Any, service: Service) -> None:
        with bounded(0.001), pytest.raises(CallTimeout):
            time.sleep(0.002)
            client("GET", service.url)
        assert service.asked == []
        assert client.registry.all() == [] or counts(client.registry.get(service.host)) == {}

    def test_the_clients_own_limit_stays_in_force(
        self, make_client: MakeClient, service: Service
    ) -> None:
        client = make_client(retries=1)
        service.hangs()
        with bounded(60.0), pytest.raises((httpx.ReadTimeout, requests.ReadTimeout)) as raised:
            client("GET", service.url, timeout=0.1)
        assert not isinstance(raised.value, CallTimeout)
        assert counts(client.registry.get(service.host)) == {"timeout": 1}

    @pytest.mark.parametrize("make", [Httpx, Requests])
    def test_in_the_main_thread_a_timeout_interrupts(self, make: Any, service: Service) -> None:
        client = make()
        service.hangs()
        with pytest.raises(CallTimeout), timeout(0.2):
            client("GET", service.url)
        assert counts(client.registry.get(service.host)) == {"timeout": 1}

    def test_a_cancelled_call_says_nothing(self, service: Service) -> None:
        client = AsyncHttpx()

        async def call_off(hold: float) -> None:
            task = asyncio.create_task(client.client.get(service.url))
            await asyncio.sleep(hold)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        service.hangs()
        service.hangs(after=b"half")
        for _ in range(2):
            client.loop.run_until_complete(call_off(0.1))
        assert len(service.asked) == 2
        assert counts(client.registry.get(service.host)) == {}

    def test_a_full_pool_is_not_the_hosts_fault(self, service: Service) -> None:
        limits = httpx.Limits(max_connections=1)
        client = Httpx(transport=httpx.HTTPTransport(limits=limits))
        with client.client.stream("GET", service.url):
            with pytest.raises(httpx.PoolTimeout):
                client.client.get(service.url, timeout=0.05)
            with bounded(0.05), pytest.raises(CallTimeout):
                client.client.get(service.url)
        assert counts(client.registry.get(service.host)) == {"success": 1}


class TestBodiesThatAreSent:
    def test_one_that_is_made_while_it_is_sent_is_sent_once(
        self, make_client: MakeClient, service: Service
    ) -> None:
        client = make_client()
        service.answers(503)

        def parts() -> Any:
            yield b"a"
            yield b"b"

        async def aparts() -> Any:
            yield b"a"
            yield b"b"

        body = aparts() if isinstance(client, AsyncHttpx) else parts()
        assert client("PUT", service.url, content=body).status_code == 503
        assert [asked.body for asked in service.asked] == [b"ab"]

    def test_requests_takes_urllib3s_limits(self, service: Service) -> None:
        client = Requests(retries=1)
        client.session.get(service.url, timeout=Timeout(total=5.0))
        service.hangs()
        with bounded(0.1), pytest.raises(CallTimeout):
            client.session.get(service.url, timeout=Timeout(connect=5.0))
        client.session.close()

    def test_requests_winds_a_file_back(self, service: Service) -> None:
        client = Requests()
        service.answers(503)
        assert client("PUT", service.url, content=io.BytesIO(b"file")).status_code == 200
        assert [asked.body for asked in service.asked] == [b"file", b"file"]

    def test_httpx_takes_the_word_of_a_single_request(self, service: Service) -> None:
        client = Httpx()
        service.answers(503)
        said = {"safe_to_retry": True}
        assert client("POST", service.url, content=b"x", extensions=said).status_code == 200
        service.answers(503)
        refused = {"safe_to_retry": False}
        assert client("GET", service.url, extensions=refused).status_code == 503
