"""Starlette and FastAPI behind the middleware, served by uvicorn on a real socket."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.sync.client import connect

from breakers import (
    BulkheadFull,
    CallTimeout,
    CircuitBreakerOpen,
    CircuitForcedOpen,
    PolicyError,
    RateLimited,
    remaining,
)
from breakers.integrations.asgi import BreakerMiddleware
from tests.servers import free_port, until

ERRORS = {
    "open": CircuitBreakerOpen("posts", 12.2),
    "forced": CircuitForcedOpen("posts", None),
    "full": BulkheadFull("all 2 slots"),
    "limited": RateLimited(2, 60.0, 30.0),
    "late": CallTimeout(2.0),
    "boom": KeyError("boom"),
    "own": TimeoutError("of its own"),
}
seen: dict[str, Any] = {}


async def fails(request: Request) -> Response:
    raise ERRORS[request.path_params["what"]]


async def fine(request: Request) -> Response:
    return PlainTextResponse(str(remaining()))


async def hangs(request: Request) -> Response:
    try:
        await asyncio.sleep(20)
    except asyncio.CancelledError:
        seen["cancelled"] = True
        raise
    return PlainTextResponse("late")


async def apologises(request: Request) -> Response:
    try:
        await asyncio.sleep(20)
    except asyncio.CancelledError:
        return PlainTextResponse("sorry", status_code=418)
    return PlainTextResponse("late")


async def streams(request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        for n in range(4):
            await asyncio.sleep(0.2)
            yield str(n).encode()
        seen["left while streaming"] = remaining()

    return StreamingResponse(parts())


async def breaks_while_streaming(request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield b"first"
        raise ERRORS["open"]

    return StreamingResponse(parts())


async def works_on(request: Request) -> Response:
    async def afterwards() -> None:
        await asyncio.sleep(0.7)
        seen["left afterwards"] = remaining()

    return PlainTextResponse("fine", background=BackgroundTask(afterwards))


async def echoes(socket: WebSocket) -> None:
    await socket.accept()
    await asyncio.sleep(0.7)
    await socket.send_text(await socket.receive_text())
    await socket.close()


ROUTES = [
    Route("/fails/{what}", fails),
    Route("/fine", fine),
    Route("/hangs", hangs),
    Route("/apologises", apologises),
    Route("/streams", streams),
    Route("/breaks", breaks_while_streaming),
    Route("/works-on", works_on),
    WebSocketRoute("/echoes", echoes),
]


async def pass_on(request: Request, call_next: Any) -> Any:
    return await call_next(request)


# Runs the application in a task of its own.
BETWEEN = Middleware(BaseHTTPMiddleware, dispatch=pass_on)


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The address of an application on a real socket."""
    port = free_port()
    config = uvicorn.Config(app, port=port, log_level="critical", ws="websockets-sansio")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{port}"
    until(lambda: httpx.get(f"{url}/fine", trust_env=False))
    try:
        yield url
    finally:
        server.should_exit = True
        thread.join(10)


def browser(url: str) -> httpx.Client:
    """A connection for each request: uvicorn hangs up after an error."""
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(base_url=url, trust_env=False, limits=limits)


def starlette(*more: Middleware, **settings: Any) -> Starlette:
    return Starlette(routes=ROUTES, middleware=[Middleware(BreakerMiddleware, **settings), *more])


@pytest.fixture(scope="module")
def plain_app() -> Iterator[httpx.Client]:
    with served(starlette()) as url, browser(url) as client:
        yield client


@pytest.fixture(scope="module")
def hurried() -> Iterator[httpx.Client]:
    app = starlette(deadline=0.6)
    with served(app) as url, browser(url) as client:
        yield client


class TestErrorResponses:
    @pytest.mark.parametrize(
        ("what", "status", "after"),
        [
            ("open", 503, "13"),
            ("forced", 503, "5"),
            ("full", 503, "5"),
            ("limited", 503, "30"),
            ("late", 504, None),
            ("boom", 500, None),
            ("own", 500, None),
        ],
    )
    def test_become_an_answer(
        self, plain_app: httpx.Client, what: str, status: int, after: str | None
    ) -> None:
        response = plain_app.get(f"/fails/{what}")
        assert (response.status_code, response.headers.get("Retry-After")) == (status, after)
        assert "posts" not in response.text

    def test_other_answers_pass(self, plain_app: httpx.Client) -> None:
        assert plain_app.get("/fine").text == "None"
        assert plain_app.get("/nowhere").status_code == 404

    def test_an_answer_that_has_begun_is_not_another(self, plain_app: httpx.Client) -> None:
        with pytest.raises(httpx.RemoteProtocolError):
            plain_app.get("/breaks")
        assert plain_app.get("/streams").text == "0123"

    def test_another_middleware_may_lie_between(self) -> None:
        with served(starlette(BETWEEN)) as url:
            assert httpx.get(f"{url}/fails/open", trust_env=False).status_code == 503


class TestDeadlines:
    def test_a_request_that_takes_too_long_is_cancelled(self, hurried: httpx.Client) -> None:
        began = time.monotonic()
        assert hurried.get("/hangs").status_code == 504
        assert time.monotonic() - began < 5
        assert seen.pop("cancelled")

    def test_a_time_that_was_not_its_own_is_an_error(self, hurried: httpx.Client) -> None:
        assert hurried.get("/fails/own").status_code == 500

    def test_one_that_answers_all_the_same_has_answered(self, hurried: httpx.Client) -> None:
        assert hurried.get("/apologises").text == "sorry"

    def test_what_serves_it_reads_what_is_left(self, hurried: httpx.Client) -> None:
        assert 0 < float(hurried.get("/fine").text) <= 0.6

    def test_a_stream_that_began_in_time_goes_on(self, hurried: httpx.Client) -> None:
        assert hurried.get("/streams").text == "0123"
        assert seen.pop("left while streaming") > 1000

    def test_so_does_what_runs_in_the_background(self, hurried: httpx.Client) -> None:
        assert hurried.get("/works-on").text == "fine"
        until(lambda: seen["left afterwards"])
        assert seen.pop("left afterwards") > 1000

    def test_so_they_do_in_a_task_that_another_middleware_started(self) -> None:
        with served(starlette(BETWEEN, deadline=0.6)) as url, browser(url) as web:
            assert web.get("/streams").text == "0123"
            assert seen.pop("left while streaming") > 1000
            assert web.get("/hangs").status_code == 504

    def test_sockets_have_none(self, hurried: httpx.Client) -> None:
        url = str(hurried.base_url).replace("http", "ws")
        with connect(f"{url}/echoes", proxy=None) as socket:
            socket.send("hello")
            assert socket.recv() == "hello"

    def test_one_that_is_no_time_is_refused(self) -> None:
        with pytest.raises(PolicyError, match="deadline is -1"):
            BreakerMiddleware(starlette(), deadline=-1)


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    app, over = FastAPI(), threading.Event()
    app.add_middleware(BreakerMiddleware, deadline=0.6)

    @app.get("/fine")
    def fine() -> float | None:
        return remaining()

    @app.get("/fails")
    def fails() -> None:
        raise ERRORS["open"]

    @app.get("/hangs")
    def hangs() -> None:
        over.wait(20)

    with served(app) as url, browser(url) as client:
        yield client
        over.set()


class TestFastAPI:
    def test_a_sync_endpoint_reads_what_is_left(self, client: httpx.Client) -> None:
        assert 0 < client.get("/fine").json() <= 0.6

    def test_a_refusal_becomes_an_answer(self, client: httpx.Client) -> None:
        response = client.get("/fails")
        assert (response.status_code, response.headers["Retry-After"]) == (503, "13")

    def test_a_sync_endpoint_that_hangs_frees_its_request(self, client: httpx.Client) -> None:
        began = time.monotonic()
        assert client.get("/hangs").status_code == 504
        assert time.monotonic() - began < 10
