"""Generators: bodies without an end. One that flows is a success, and holds no probe for ever."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import requests
from urllib3 import HTTPResponse

from breakers import CircuitBreaker
from breakers.integrations import http_attempts
from breakers.integrations.http_rules import FLOWS_AFTER_CHUNKS
from breakers.integrations.httpx import AsyncResilientTransport, ResilientTransport
from breakers.integrations.requests import ResilientAdapter
from breakers.testing import FakeClock
from tests.breakers.integrations.conftest import counts


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    clock = FakeClock()
    monkeypatch.setattr(http_attempts, "SYSTEM_CLOCK", clock)
    return clock


class Stream(httpx.SyncByteStream, httpx.AsyncByteStream):
    """Chunks without an end, a moment of the clock between them."""

    def __init__(self, clock: FakeClock, gap: float = 0.0, breaks_at: int | None = None) -> None:
        self.clock, self.gap, self.breaks_at = clock, gap, breaks_at

    def __iter__(self) -> Iterator[bytes]:
        for n in itertools.count():
            if n == self.breaks_at:
                raise httpx.ReadError("broken off")
            self.clock.advance(self.gap)
            yield b"{}\n"

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk


def half_open(clock: FakeClock, **fields: Any) -> CircuitBreaker:
    breaker = CircuitBreaker(
        1, 10, success_threshold=2, registry=None, clock=clock, open_jitter=0.0, **fields
    )
    with pytest.raises(ZeroDivisionError):
        breaker.call(lambda: 1 // 0)
    clock.advance(11)
    return breaker


def transport(breaker: CircuitBreaker, stream: Stream, **headers: str) -> ResilientTransport:
    mock = httpx.MockTransport(lambda request: httpx.Response(200, stream=stream, headers=headers))
    return ResilientTransport(mock, breaker=breaker, retries=1)


def opened(client: httpx.Client, chunks: int) -> tuple[Any, Iterator[bytes]]:
    response = client.send(client.build_request("GET", "http://h"), stream=True)
    parts = response.iter_raw()
    for _ in range(chunks):
        next(parts)
    return response, parts


def test_a_stream_that_flows_gives_its_probe_back(clock: FakeClock) -> None:
    breaker = half_open(clock)
    with httpx.Client(transport=transport(breaker, Stream(clock))) as client:
        first = opened(client, FLOWS_AFTER_CHUNKS - 1)
        assert breaker.snapshot().in_flight == 1
        next(first[1])
        assert breaker.snapshot().in_flight == 0
        second = opened(client, FLOWS_AFTER_CHUNKS)
        assert breaker.state == "closed"
        first[0].close()
        second[0].close()
    assert counts(breaker) == {"failure": 1, "success": 2}


def test_a_slow_stream_does_at_the_first_chunk_after_a_second(clock: FakeClock) -> None:
    breaker = half_open(clock, slow_call_duration=0.5)
    with httpx.Client(transport=transport(breaker, Stream(clock, gap=30.0))) as client:
        response, _ = opened(client, 1)
        assert breaker.snapshot().in_flight == 0
        response.close()
    # Its latency is that of its headers: an event that comes late is no slow answer.
    assert counts(breaker) == {"failure": 1, "success": 1}


async def test_so_it_is_for_coroutines(clock: FakeClock) -> None:
    breaker = half_open(clock)
    mock = httpx.MockTransport(lambda request: httpx.Response(200, stream=Stream(clock)))
    client = httpx.AsyncClient(transport=AsyncResilientTransport(mock, breaker=breaker, retries=1))
    async with client, client.stream("GET", "http://h") as response:
        parts = response.aiter_raw()
        for _ in range(FLOWS_AFTER_CHUNKS):
            await anext(parts)
        assert breaker.snapshot().in_flight == 0
    assert counts(breaker) == {"failure": 1, "success": 1}


def test_one_that_breaks_off_before_that_is_a_failure(clock: FakeClock) -> None:
    breaker = CircuitBreaker(1, registry=None, clock=clock)
    stream = Stream(clock, breaks_at=FLOWS_AFTER_CHUNKS - 1)
    made = transport(breaker, stream)
    with httpx.Client(transport=made) as client, pytest.raises(httpx.ReadError):
        opened(client, FLOWS_AFTER_CHUNKS)
    assert breaker.state == "open"


def test_one_that_breaks_off_after_that_was_a_success(clock: FakeClock) -> None:
    breaker = CircuitBreaker(1, registry=None, clock=clock)
    stream = Stream(clock, breaks_at=FLOWS_AFTER_CHUNKS)
    made = transport(breaker, stream)
    with httpx.Client(transport=made) as client, pytest.raises(httpx.ReadError):
        opened(client, FLOWS_AFTER_CHUNKS + 1)
    assert counts(breaker) == {"success": 1}


def test_a_body_with_a_length_is_judged_by_its_end(clock: FakeClock) -> None:
    breaker = CircuitBreaker(1, registry=None, clock=clock)
    stream = Stream(clock, breaks_at=20)
    made = transport(breaker, stream, **{"Content-Length": "60000"})
    with httpx.Client(transport=made) as client, pytest.raises(httpx.ReadError):
        opened(client, 21)
    assert breaker.state == "open"


@pytest.mark.parametrize(
    "kind",
    [
        "application/x-ndjson",
        "application/json-seq",
        "application/stream+json;charset=utf-8",
        "text/event-stream",
        "application/json;stream=watch",
    ],
)
def test_a_kind_without_an_end_is_judged_by_its_headers(clock: FakeClock, kind: str) -> None:
    breaker = half_open(clock)
    made = transport(breaker, Stream(clock), **{"Content-Type": kind})
    with httpx.Client(transport=made) as client:
        response, _ = opened(client, 0)
        assert counts(breaker) == {"failure": 1, "success": 1}
        response.close()


class Endless:
    """What urllib3 reads a body from."""

    def __init__(self) -> None:
        self.left, self.closed = 1000, False

    def read(self, amt: int = 1, *args: Any) -> bytes:
        self.left -= 1
        return b"x" * min(amt, 1) if self.left else b""

    def close(self) -> None:
        self.closed = True


class Fake(requests.adapters.BaseAdapter):
    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        made = requests.Response()
        made.status_code, made.request, made.url = 200, request, str(request.url)
        made.raw = HTTPResponse(Endless(), preload_content=False, status=200)  # type: ignore[arg-type]
        return made

    def close(self) -> None:
        pass


def test_requests_does_the_same(clock: FakeClock) -> None:
    breaker = half_open(clock)
    session = requests.Session()
    session.mount("http://", ResilientAdapter(Fake(), breaker=breaker, retries=1))
    response = session.get("http://h/", stream=True)
    parts = response.iter_content(1)
    for _ in range(FLOWS_AFTER_CHUNKS):
        next(parts)
    assert breaker.snapshot().in_flight == 0
    response.close()
    assert counts(breaker) == {"failure": 1, "success": 1}


def test_a_slow_reader_is_no_slow_callee(clock: FakeClock) -> None:
    breaker = CircuitBreaker(
        registry=None, clock=clock, slow_call_duration=1.0, slow_call_rate_threshold=0.5
    )
    made = transport(breaker, Stream(clock, breaks_at=5), **{"Content-Length": "15"})
    with httpx.Client(transport=made) as client:
        response, parts = opened(client, 1)
        for _ in range(3):
            clock.advance(60)
            next(parts)
        response.close()
    assert counts(breaker) == {"success": 1}
