"""httpx, sync and async, and requests: one behaviour, against a real server."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx
import pytest
import requests

from breakers import (
    CallTimeout,
    CircuitBreaker,
    CircuitBreakerOpen,
    PolicyError,
    Registry,
)
from breakers.deadline import bounded
from breakers.integrations.per_host import PerHost
from tests.breakers.integrations.conftest import AsyncHttpx, Httpx, MakeClient, Requests, counts
from tests.breakers.integrations.service import Service
from tests.servers import free_port

BROKEN = (httpx.TransportError, requests.RequestException)


def _content(response: Any) -> bytes:
    content: bytes = response.read() if hasattr(response, "read") else response.content
    return content


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
        own.apply_policy({"retries": 1, "timeout": 0.1})
        service.hangs()
        with pytest.raises(CallTimeout, match=r"0\.1 s"):
            client("GET", service.url)


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
            service.drips(6, 0.15)
        with bounded(0.5):
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

    @pytest.mark.parametrize("make", [Httpx, Requests])
    def test_a_body_may_be_read_to_judge_it(self, make: Any, service: Service) -> None:
        client = make(is_failure=lambda response: b"answer" not in _content(response), retries=1)
        assert client("GET", service.url).text == "answer"
        service.drips(3, 0.0)
        assert client("GET", service.url).text == "..."
        assert counts(client.registry.get(service.host)) == {"success": 1, "failure": 1}

    def test_a_transport_may_have_read_it_already(self) -> None:
        own = CircuitBreaker()
        mock = httpx.MockTransport(lambda request: httpx.Response(200, content=b"answer"))
        assert Httpx(transport=mock, breaker=own)("GET", "http://mock").text == "answer"
        with Httpx(transport=mock, breaker=own).client.stream("GET", "http://mock") as response:
            assert response.read() == b"answer"
        assert AsyncHttpx(transport=mock, breaker=own)("GET", "http://mock").text == "answer"
        assert counts(own) == {"success": 3}

    def test_an_event_stream_is_judged_by_its_headers(self, client: Any, service: Service) -> None:
        service.streams_events()
        assert client.streamed(service.url, chunks=4) == b"data"
        assert counts(client.registry.get(service.host)) == {"success": 1}

    def test_connections_go_back_to_the_pool(self, client: Any, service: Service) -> None:
        for _ in range(3):
            client("GET", service.url)
            client.streamed(service.url)
        assert len({asked.port for asked in service.asked}) == 1


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

    def test_a_host_may_have_a_long_name(self) -> None:
        per_host = PerHost(registry=Registry())
        one, other = (per_host("a" * 60 + "." + "b" * 180 + end) for end in (".com", ".org"))
        assert one is not None
        assert other is not None
        assert one is not other

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
