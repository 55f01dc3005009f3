"""Backoff and hostile headers: a pause is bounded, and a response is closed, whatever comes."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from breakers import CallOptions, PolicyError, ResilientCaller
from breakers.calls.retries import retry_after
from breakers.integrations.httpx import ResilientTransport
from breakers.integrations.requests import ResilientAdapter

HOSTILE = [
    "-5",
    "nan",
    "1e999",
    "-inf",
    "9" * 400,
    "1_000",
    "1m0s",
    "",
    "\u0663",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Mon, 01 Jan 0000 00:00:00 GMT",
    "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
    "Mon, 01 Jan 2030 00:00:00 +99999999999999",
    "Mon, 01 Jan 2030 00:00:00 -9999",
    "Mon, 99 Foo 2030 99:99:99 GMT",
]


class Failing:
    def __init__(self, retry_after: Any = None) -> None:
        self.made, self.retry_after = 0, retry_after

    def __call__(self) -> None:
        self.made += 1
        error = ConnectionError()
        if self.retry_after is not None:
            error.retry_after = self.retry_after  # type: ignore[attr-defined]
        raise error


def pauses(failing: Failing, **fields: Any) -> list[float]:
    slept: list[float] = []
    caller = ResilientCaller(sleep=slept.append, random=lambda: 1.0)
    with pytest.raises(ConnectionError):
        caller.call(failing, CallOptions(timeout=None, **fields))
    return slept


class TestBackoff:
    def test_a_delay_beyond_a_minute_is_honoured(self) -> None:
        assert pauses(Failing(), retry_delay=120, retry_delay_max=300) == [120.0, 240.0]

    def test_so_it_is_without_a_bound_of_its_own(self) -> None:
        assert pauses(Failing(), retry_delay=120) == [120.0, 120.0]

    def test_the_bound_caps_it(self) -> None:
        assert pauses(Failing(), retry_delay=2, retry_delay_max=3) == [2.0, 3.0]

    def test_what_is_out_of_range_is_refused_with_the_bound(self) -> None:
        with pytest.raises(PolicyError, match=r"retry_delay is 301.*0 to 300 s"):
            CallOptions(timeout=None, retry_delay=301)

    def test_a_pause_that_the_callee_asks_for_is_bounded(self) -> None:
        assert pauses(Failing(61)) == []
        assert pauses(Failing(60)) == [60.0, 60.0]
        assert pauses(Failing(200), retry_delay_max=300) == [200.0, 200.0]

    def test_ones_own_function_may_choose_a_longer_one(self) -> None:
        assert pauses(Failing(), retry_pause=lambda state: 90.0 * state.attempt) == [90.0, 180.0]


class TestRetryAfter:
    @pytest.mark.parametrize("said", [10**400, float("nan"), "x", object(), [], True, b"\xff"])
    def test_what_cannot_be_read_says_nothing(self, said: Any) -> None:
        assert pauses(Failing(said), retry_delay=0.5) == [0.5, 1.0]

    def test_a_timedelta_is_read(self) -> None:
        assert pauses(Failing(timedelta(seconds=7))) == [7.0, 7.0]

    @settings(max_examples=300, deadline=None)
    @given(st.text() | st.binary() | st.integers() | st.floats() | st.datetimes() | st.none())
    def test_nothing_breaks_it(self, said: Any) -> None:
        error = ConnectionError()
        error.retry_after = said  # type: ignore[attr-defined]
        pause = retry_after(error)
        assert pause is None or pause >= 0

    @settings(max_examples=300, deadline=None)
    @given(st.text(max_size=120))
    def test_no_header_does(self, said: str) -> None:
        response = httpx.Response(503, headers=[(b"retry-after", said.encode("utf-8", "ignore"))])
        pause = retry_after(response)
        assert pause is None or pause >= 0

    def test_an_attribute_that_fails_says_nothing(self) -> None:
        class Odd(Exception):
            @property
            def retry_after(self) -> float:
                raise RuntimeError

        assert retry_after(Odd()) is None


class Busy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        said = self.server.says.encode("utf-8")  # type: ignore[attr-defined]
        self.wfile.write(b"HTTP/1.1 503 Busy\r\nRetry-After: " + said + b"\r\n")
        self.wfile.write(b"Content-Length: 4\r\n\r\nbusy")

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def busy() -> Iterator[http.server.ThreadingHTTPServer]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize("said", HOSTILE)
class TestAPooledConnection:
    """It is given back after any header: with a pool of one, the next call would hang otherwise."""

    def settings(self) -> dict[str, Any]:
        return {"breaker": None, "retries": 2, "retry_delay": 0.0, "sleep": lambda seconds: None}

    def test_of_httpx(self, busy: http.server.ThreadingHTTPServer, said: str) -> None:
        busy.says = said  # type: ignore[attr-defined]
        one = httpx.HTTPTransport(limits=httpx.Limits(max_connections=1))
        transport = ResilientTransport(one, **self.settings())
        with httpx.Client(transport=transport, timeout=2.0) as client:
            for _ in range(2):
                assert client.get(f"http://127.0.0.1:{busy.server_port}/").status_code == 503

    def test_of_requests(self, busy: http.server.ThreadingHTTPServer, said: str) -> None:
        busy.says = said  # type: ignore[attr-defined]
        session = requests.Session()
        one = requests.adapters.HTTPAdapter(pool_maxsize=1, pool_block=True)
        session.mount("http://", ResilientAdapter(one, **self.settings()))
        with session:
            for _ in range(2):
                answer = session.get(f"http://127.0.0.1:{busy.server_port}/", timeout=2.0)
                assert answer.status_code == 503
