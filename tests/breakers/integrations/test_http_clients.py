"""httpx, sync and async, and requests: one behaviour, against a real server."""

from __future__ import annotations

import asyncio
import contextlib
import io
import threading
import time
from typing import Any

import httpx
import pytest
import requests
from urllib3 import Timeout

from breakers import CallTimeout, CircuitBreaker, CircuitBreakerOpen, PolicyError, Registry, timeout
from breakers.deadline import bounded
from breakers.integrations.hosts import PerHost
from tests.breakers.integrations.conftest import AsyncHttpx, Httpx, MakeClient, Requests, counts
from tests.breakers.integrations.service import Service
from tests.servers import free_port

BROKEN = (httpx.TransportError, requests.RequestException)


class TestRecording:
    def test_a_call_is_recorded_at_the_breaker_of_its_host(
        self, client: Any, service: Service
    ) -> None:
        assert client("GET", service.url).text == "answer"
        assert counts(client.registry.get(service.host)) == {"success": 1}

    @pytest.mark.parametrize("status", [500, 503, 429])
    def test_a_bad_status_is_a_failure_and_the_response_the_clients(
        self, make_client: MakeClient, service: Service, status: int
    ) -> None:
        client = make_client(retries=1)
        service.answers(status)
        assert client("GET", service.url).status_code == status
        assert counts(client.registry.get(service.host)) == {"failure": 1}

    @pytest.mark.parametrize("status", [201, 204, 302, 404])
    def test_other_answers_are_answers(self, client: Any, service: Service, status: int) -> None:
        service.answers(status)
        assert client("GET", service.url).status_code == status
        assert counts(client.registry.get(service.host)) == {"success": 1}

    def test_nobody_listening_is_a_failure(self, make_client: MakeClient) -> None:
        client, host = make_client(retries=1), f"127.0.0.1:{free_port()}"
        with pytest.raises(BROKEN):
            client("GET", f"http://{host}")
        assert counts(client.registry.get(host)) == {"failure": 1}

    def test_an_open_breaker_asks_nobody(self, client: Any, service: Service) -> None:
        service.answers(500, 500, 500, 500)
        client("GET", service.url)
        with pytest.raises(CircuitBreakerOpen):
            client("GET", service.url)
        assert len(service.asked) == 3

    def test_head_has_no_body_to_wait_for(self, client: Any, service: Service) -> None:
        assert client("HEAD", service.url).status_code == 200
        assert counts(client.registry.get(service.host)) == {"success": 1}

    def test_what_is_a_failure_is_for_the_caller_to_say(
        self, make_client: MakeClient, service: Service
    ) -> None:
        client = make_client(retries=1, is_failure=lambda response: response.status_code == 404)
        service.answers(404, 500)
        client("GET", service.url)
        client("GET", service.url)
        assert counts(client.registry.get(service.host)) == {"failure": 1, "success": 1}

    def test_a_breaker_of_ones_own_sees_the_response(
        self, make_client: MakeClient, service: Service
    ) -> None:
        own = CircuitBreaker(is_failure=lambda response: response.status_code == 404)
        client = make_client(breaker=own)
        service.answers(404)
        client("GET", service.url)
        assert counts(own) == {"failure": 1}

    def test_without_a_breaker_calls_are_only_retried(
        self, make_client: MakeClient, service: Service
    ) -> None:
        client = make_client(breaker=None)
        service.answers(503)
        assert client("GET", service.url).status_code == 200
        assert len(client.registry.all()) == 0

    def test_misuse_is_refused(self, make_client: MakeClient) -> None:
        with pytest.raises(PolicyError, match="retries is 0"):
            make_client(retries=0)
        with pytest.raises(PolicyError, match="timeout is -1"):
            make_client(timeout=-1)

    def test_what_code_declares_can_be_shown_and_an_operators_policy_rules(
        self, make_client: MakeClient, service: Service
    ) -> None:
        own = CircuitBreaker(failure_threshold=None)
        client = make_client(breaker=own, retries=4, timeout=2.5)
        service.answers(500, 500, 500, 500)
        client("GET", service.url)
        assert (own.policy.retries, own.policy.timeout) == (4, 2.5)
        own.apply_policy({"retries": 1})
        service.answers(500)
        assert client("GET", service.url).status_code == 500
        assert len(service.asked) == 5


class TestBodies:
    def test_a_call_is_recorded_once_when_its_body_has_ended(
        self, client: Any, service: Service
    ) -> None:
        assert client.streamed(service.url) == b"answer"
        assert counts(client.registry.get(service.host)) == {"success": 1}

    def test_a_body_that_nobody_reads_to_its_end_is_no_failure(
        self, client: Any, service: Service
    ) -> None:
        service.hangs(after=b"first")
        assert client.streamed(service.url, chunks=3) == b"fir"
        assert counts(client.registry.get(service.host)) == {"success": 1}

    def test_a_body_that_breaks_off_is_a_failure(self, client: Any, service: Service) -> None:
        service.breaks_off()
        with pytest.raises(BROKEN):
            client("GET", service.url)
        assert counts(client.registry.get(service.host)) == {"failure": 1}

    def test_silence_after_the_headers_runs_out_of_time(
        self, client: Any, service: Service
    ) -> None:
        service.hangs(after=b"half")
        began = time.monotonic()
        with bounded(0.2), pytest.raises(CallTimeout):
            client("GET", service.url)
        assert time.monotonic() - began < 3
        assert counts(client.registry.get(service.host)) == {"timeout": 1}

    def test_a_body_that_drips_past_the_deadline_is_late(
        self, client: Any, service: Service
    ) -> None:
        service.drips(200, 0.05)
        began = time.monotonic()
        with bounded(0.3), pytest.raises(CallTimeout):
            client("GET", service.url)
        assert time.monotonic() - began < 3
        assert counts(client.registry.get(service.host)) == {"timeout": 1}

    def test_the_readers_own_time_is_not_the_hosts(self, service: Service) -> None:
        own = CircuitBreaker(slow_call_duration=0.2)
        with Httpx(breaker=own).client.stream("GET", service.url) as response:
            time.sleep(0.3)
            response.read()
        with Requests(breaker=own).session.get(service.url, stream=True) as answer:
            time.sleep(0.3)
            assert answer.raw.read() == b"answer"
        assert counts(own) == {"success": 2}

    def test_a_stream_is_bound_by_who_reads_it_not_by_who_asked(self, service: Service) -> None:
        own = CircuitBreaker()
        client, session = Httpx(breaker=own).client, Requests(breaker=own).session
        for _ in range(2):
            service.drips(6, 0.1)
        with bounded(0.3):
            response = client.send(client.build_request("GET", service.url), stream=True)
            answer = session.get(service.url, stream=True, timeout=5.0)
        assert response.read() == b"......"
        assert answer.content == b"......"
        assert counts(own) == {"success": 2}

    def test_who_reads_may_have_less_time_than_who_asked(self, service: Service) -> None:
        own = CircuitBreaker()
        client, session = Httpx(breaker=own).client, Requests(breaker=own).session
        for _ in range(2):
            service.hangs(after=b"half")
        with bounded(60.0):
            response = client.send(client.build_request("GET", service.url), stream=True)
            answer = session.get(service.url, stream=True, timeout=5.0)
            began = time.monotonic()
            with bounded(0.1), pytest.raises(CallTimeout):
                response.read()
            with bounded(0.1), pytest.raises(CallTimeout):
                list(answer.iter_content(100))
        assert time.monotonic() - began < 3
        assert counts(own) == {"timeout": 2}

    def test_an_event_stream_is_judged_by_its_headers(self, client: Any, service: Service) -> None:
        service.streams_events()
        assert client.streamed(service.url, chunks=4) == b"data"
        assert counts(client.registry.get(service.host)) == {"success": 1}

    def test_connections_go_back_to_the_pool(self, client: Any, service: Service) -> None:
        for _ in range(3):
            client("GET", service.url)
            client.streamed(service.url)
        assert len({asked.port for asked in service.asked}) == 1


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
        # A keep-alive connection whose body nobody read would be lost to the pool, one a retry.
        for _ in range(5):
            service.answers(503)
            client("GET", service.url)
        assert counts(client.registry.get(service.host))["success"] == 5

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
        client = make_client(timeout=0.2)
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


class TestThreads:
    @pytest.mark.parametrize("make", [Httpx, Requests])
    def test_eight_of_them_lose_no_count(self, make: Any, service: Service) -> None:
        own = CircuitBreaker(failure_threshold=None)
        client = make(breaker=own, retries=1)
        for n in range(400):
            if n % 4 == 0:
                service.answers(503)
            elif n % 4 == 1:
                service.breaks_off()
            else:
                service.answers(200)

        def ask() -> None:
            for _ in range(50):
                with contextlib.suppress(*BROKEN):
                    client("GET", service.url)

        crowd = [threading.Thread(target=ask) for _ in range(8)]
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join(60)
        assert counts(own) == {"success": 200, "failure": 200}


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


class TestHosts:
    def test_each_host_has_its_own(self, client: Any, service: Service) -> None:
        port = service.host.rpartition(":")[2]
        client("GET", service.url)
        client("GET", f"http://localhost:{port}")
        names = {breaker.name for breaker in client.registry.all()}
        assert names == {service.host, f"localhost:{port}"}

    def test_hosts_beyond_the_bound_are_called_without_one(
        self, make_client: MakeClient, service: Service
    ) -> None:
        mine = Registry()
        per_host = PerHost(max_hosts=1, registry=mine)
        assert per_host("elsewhere") is not None
        assert make_client(breaker=per_host)("GET", service.url).status_code == 200
        assert [breaker.name for breaker in mine.all()] == ["elsewhere"]

    def test_so_are_those_that_a_full_registry_has_no_room_for(self) -> None:
        mine = Registry(max_breakers=1)
        CircuitBreaker(name="another", registry=mine)
        assert PerHost(registry=mine)("api.example.com") is None

    def test_eight_threads_share_one_breaker_a_host(self) -> None:
        mine = Registry()
        per_host, found = PerHost(registry=mine, max_hosts=50), []

        def ask() -> None:
            for n in range(100):
                found.append((n, per_host(f"host-{n}")))

        crowd = [threading.Thread(target=ask) for _ in range(8)]
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join(20)
        assert len(set(found)) == 100
        assert len(mine.all()) == 50

    def test_misuse_is_refused(self) -> None:
        with pytest.raises(PolicyError, match="no such field"):
            PerHost(failures=3)
        with pytest.raises(ValueError, match="max_hosts is 0"):
            PerHost(max_hosts=0)
