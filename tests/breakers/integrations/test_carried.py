"""The deadline and the criticality travel with a request: real clients, real servers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import path
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from breakers import criticality, current_criticality, remaining
from breakers.deadline import bounded
from breakers.integrations.asgi import BreakerMiddleware as AsgiMiddleware
from breakers.integrations.carried import CRITICALITY_HEADER, DEADLINE_HEADER, incoming
from breakers.integrations.django import BreakerMiddleware as DjangoMiddleware
from tests.breakers.integrations.conftest import MakeClient
from tests.breakers.integrations.test_asgi import served


def what_is_known() -> str:
    return f"{remaining()} {current_criticality().value}"


async def fine(request: Request) -> Response:
    return PlainTextResponse(what_is_known())


async def hangs(request: Request) -> Response:
    await asyncio.sleep(20)
    return PlainTextResponse("late")


def thread(request: Request) -> Response:
    return PlainTextResponse(what_is_known())


ROUTES = [Route("/fine", fine), Route("/hangs", hangs), Route("/thread", thread)]


@pytest.fixture(scope="module")
def trusting() -> Iterator[str]:
    with served(AsgiMiddleware(Starlette(routes=ROUTES), deadline=5.0, carried=True)) as url:
        yield url


@pytest.fixture(scope="module")
def doubting() -> Iterator[str]:
    with served(AsgiMiddleware(Starlette(routes=ROUTES), deadline=5.0)) as url:
        yield url


def known(answer: Any) -> tuple[float, str]:
    left, level = answer.text.split()
    return float(left), level


class TestFromClientToServer:
    @pytest.mark.parametrize("where", ["/fine", "/thread"])
    def test_the_callee_has_what_is_left_and_the_class(
        self, make_client: MakeClient, trusting: str, where: str
    ) -> None:
        client = make_client(carry=True)
        with bounded(2.0), criticality("sheddable"):
            left, level = known(client("GET", trusting + where))
        assert 0 < left <= 2.0
        assert level == "sheddable"

    def test_a_client_tells_nobody_unless_it_is_told_to(
        self, make_client: MakeClient, trusting: str
    ) -> None:
        for carry in (False, lambda host: host == "elsewhere.example"):
            with bounded(2.0), criticality("critical"):
                left, level = known(make_client(carry=carry)("GET", f"{trusting}/fine"))
            assert left > 2.0
            assert level == "default"

    def test_a_server_believes_nobody_unless_it_is_told_to(
        self, make_client: MakeClient, doubting: str
    ) -> None:
        with bounded(2.0), criticality("critical"):
            left, level = known(make_client(carry=True)("GET", f"{doubting}/fine"))
        assert left > 2.0
        assert level == "default"


class TestAsgi:
    def test_a_deadline_from_outside_ends_the_request(self, trusting: str) -> None:
        answer = httpx.get(f"{trusting}/hangs", headers={DEADLINE_HEADER: "100"}, trust_env=False)
        assert answer.status_code == 504

    def test_a_longer_deadline_does_not_lengthen_the_own(self, trusting: str) -> None:
        headers = {DEADLINE_HEADER: "60000"}
        answer = httpx.get(f"{trusting}/fine", headers=headers, trust_env=False)
        assert known(answer)[0] <= 5.0

    @pytest.mark.parametrize("deadline", ["", "-5", "1e3", "²", "9" * 9, "nan", " 10"])
    def test_what_cannot_be_read_is_ignored(self, deadline: str) -> None:
        assert incoming(deadline, "boss") == (None, None)


class Trusting(DjangoMiddleware):
    carried = True


def view(request: HttpRequest) -> HttpResponse:
    return HttpResponse(what_is_known())


async def aview(request: HttpRequest) -> HttpResponse:
    return HttpResponse(what_is_known())


urlpatterns = [path("view", view), path("aview", aview)]
HEADERS = {DEADLINE_HEADER: "2000", CRITICALITY_HEADER: "sheddable"}


@pytest.mark.parametrize("where", ["/view", "/aview"])
@pytest.mark.parametrize("is_async", [False, True])
class TestDjango:
    def ask(self, middleware: str, where: str, is_async: bool) -> str:
        with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[middleware]):
            if is_async:
                answer = asyncio.run(AsyncClient().get(where, headers=HEADERS))
            else:
                answer = Client().get(where, headers=HEADERS)
            return answer.content.decode()

    def test_a_view_has_what_is_left_and_the_class(self, where: str, is_async: bool) -> None:
        left, level = self.ask(f"{__name__}.Trusting", where, is_async).split()
        assert 0 < float(left) <= 2.0
        assert level == "sheddable"
        assert remaining() is None
        assert current_criticality() == "default"

    def test_the_plain_middleware_believes_nobody(self, where: str, is_async: bool) -> None:
        ours = "breakers.integrations.django.BreakerMiddleware"
        assert self.ask(ours, where, is_async) == "None default"
