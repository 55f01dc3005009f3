"""Django's answer where a breaker is open, and its caches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from asgiref.sync import iscoroutinefunction
from django.core.cache import InvalidCacheBackendError, caches
from django.core.signals import request_finished
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import path
from django.utils.decorators import sync_and_async_middleware

from breakers import (
    BulkheadFull,
    CallOptions,
    CallTimeout,
    CircuitBreakerOpen,
    PolicyError,
    RateLimited,
    ResilientCaller,
)
from breakers.integrations.django import (
    AsyncDjangoCache,
    BreakerMiddleware,
    DjangoCache,
)
from tests.servers import free_port

# -- The middleware ------------------------------------------------------------------------------

ERRORS = {
    "open": CircuitBreakerOpen("posts", 12.2),
    "forced": CircuitBreakerOpen("posts", None),
    "full": BulkheadFull("all 2 slots"),
    "limited": RateLimited(2, 60.0, 30.0),
    "late": CallTimeout(2.0),
    "boom": KeyError("boom"),
}


def fails(request: HttpRequest, what: str) -> HttpResponse:
    raise ERRORS[what]


async def afails(request: HttpRequest, what: str) -> HttpResponse:
    raise ERRORS[what]


def fine(request: HttpRequest) -> HttpResponse:
    return HttpResponse("fine")


async def streams(request: HttpRequest) -> StreamingHttpResponse:
    async def parts() -> AsyncIterator[bytes]:
        for n in range(3):
            await asyncio.sleep(0)
            yield str(n).encode()

    return StreamingHttpResponse(parts())


@sync_and_async_middleware
def failing(get_response: Any) -> Any:
    """A middleware of somebody else whose own dependency is open."""

    def check(request: HttpRequest) -> None:
        if request.headers.get("X-Session") == "open":
            raise ERRORS["open"]

    async def acall(request: HttpRequest) -> Any:
        check(request)
        return await get_response(request)

    def call(request: HttpRequest) -> Any:
        check(request)
        return get_response(request)

    return acall if iscoroutinefunction(get_response) else call


class Own(BreakerMiddleware):
    def unavailable(self, request: HttpRequest, error: Exception) -> HttpResponse:
        return HttpResponse("ours", status=503)


urlpatterns = [
    path("fails/<what>", fails),
    path("afails/<what>", afails),
    path("fine", fine),
    path("streams", streams),
]
OURS = "breakers.integrations.django.BreakerMiddleware"
HERE = override_settings(
    ROOT_URLCONF=__name__, MIDDLEWARE=[OURS, f"{__name__}.failing"], TEMPLATES=[]
)


class Web:
    def __init__(self, is_async: bool) -> None:
        self.is_async = is_async

    def __call__(self, where: str, **headers: str) -> Any:
        if not self.is_async:
            return Client(raise_request_exception=False).get(where, headers=headers)
        client = AsyncClient(raise_request_exception=False)
        return asyncio.run(client.get(where, headers=headers))


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def web(request: pytest.FixtureRequest) -> Iterator[Web]:
    with HERE:
        yield Web(request.param)


class TestMiddleware:
    @pytest.mark.parametrize("view", ["fails", "afails"])
    @pytest.mark.parametrize(
        ("what", "status", "after"),
        [
            ("open", 503, "13"),
            ("forced", 503, "5"),
            ("full", 503, "5"),
            ("limited", 503, "30"),
            ("late", 504, None),
            ("boom", 500, None),
        ],
    )
    def test_a_refusal_becomes_an_answer(
        self, web: Web, view: str, what: str, status: int, after: str | None
    ) -> None:
        response = web(f"/{view}/{what}")
        assert (response.status_code, response.headers.get("Retry-After")) == (status, after)
        assert b"posts" not in response.content

    def test_other_answers_pass(self, web: Web) -> None:
        assert web("/fine").content == b"fine"
        assert web("/nowhere").status_code == 404

    def test_what_another_middleware_raises_becomes_one_too(self, web: Web) -> None:
        response = web("/fine", **{"X-Session": "open"})
        assert (response.status_code, response.headers["Retry-After"]) == (503, "13")

    def test_a_request_whose_answer_was_replaced_is_finished_once(self, web: Web) -> None:
        finished: list[object] = []

        def note(sender: object, **kwargs: object) -> None:
            finished.append(sender)

        request_finished.connect(note)
        try:
            web("/fine", **{"X-Session": "open"})
        finally:
            request_finished.disconnect(note)
        assert len(finished) == 1

    def test_a_subclass_may_answer_otherwise(self) -> None:
        with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[f"{__name__}.Own"]):
            assert Web(False)("/fails/open").content == b"ours"

    async def test_a_stream_stays_a_stream(self) -> None:
        with HERE:
            response = await AsyncClient().get("/streams")
            assert response.streaming
            assert [part async for part in response] == [b"0", b"1", b"2"]

    async def test_an_async_site_stays_async(self) -> None:
        middleware = BreakerMiddleware(streams)
        assert asyncio.iscoroutinefunction(middleware)


# -- The cache -----------------------------------------------------------------------------------


class TestCache:
    @pytest.fixture(params=["locmem", "redis"])
    def alias(self, request: pytest.FixtureRequest, redis_url: str) -> Iterator[str]:
        backends = {
            "locmem": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
            "redis": {"BACKEND": "django.core.cache.backends.redis.RedisCache"},
        }
        backends["redis"]["LOCATION"] = redis_url
        with override_settings(CACHES={"default": backends[request.param]}):
            caches["default"].clear()
            yield "default"

    def test_what_is_set_is_got(self, alias: str) -> None:
        cache = DjangoCache(alias, namespace="shop")
        cache.set("user:7", ("Ada", {1: 2}), ttl=60)
        assert cache.get("user:7") == ("Ada", {1: 2})
        assert caches[alias].get("shop:user:7") == ("Ada", {1: 2})
        assert cache.get("nobody") is None

    def test_none_stale_answers_and_failures_are_kept(self, alias: str) -> None:
        caller = ResilientCaller(cache=DjangoCache(alias))
        answers = iter([None])
        options = CallOptions(None, retries=1, cache_key="none")
        assert [caller.call(lambda: next(answers), options) for _ in range(2)] == [None, None]

        failures = CallOptions(None, retries=1, cache_key="no", negative_on=(KeyError,))
        with pytest.raises(KeyError):
            caller.call({}.__getitem__, failures, 7)
        with pytest.raises(KeyError):
            caller.call(lambda n: n, failures, 7)

        stale = CallOptions(None, retries=1, cache_key="old", cache_ttl=1, stale_ttl=60)
        assert caller.call(lambda: "answer", stale) == "answer"
        caches[alias].delete("breakers:old")

        def broken() -> str:
            raise ConnectionError

        assert caller.call(broken, stale) == "answer"

    async def test_coroutines_have_their_own(self, alias: str) -> None:
        cache = AsyncDjangoCache(alias)
        await cache.set("key", {"n": 1}, ttl=60)
        assert await cache.get("key") == {"n": 1}
        options = CallOptions(None, retries=1, cache_key="key")

        async def never() -> None:
            raise AssertionError

        assert await ResilientCaller(cache=cache).acall(never, options) == {"n": 1}

    @pytest.mark.parametrize("key", ["a b", "x" * 300, "ключ", "line\nbreak"])
    def test_any_key_will_do(self, alias: str, key: str) -> None:
        cache = DjangoCache(alias)
        cache.set(key, 1, ttl=60)
        assert cache.get(key) == 1
        assert cache.get(key + "x") is None

    def test_one_that_is_down_is_a_miss(self) -> None:
        down = {"BACKEND": "django.core.cache.backends.redis.RedisCache"}
        down["LOCATION"] = f"redis://127.0.0.1:{free_port()}"
        with override_settings(CACHES={"default": down}):
            cache = DjangoCache()
            began = time.monotonic()
            cache.set("key", 1, ttl=60)
            assert cache.get("key") is None
            assert time.monotonic() - began < 10

    def test_misuse_is_refused(self) -> None:
        with pytest.raises(PolicyError, match="namespace"):
            DjangoCache(namespace="")
        with pytest.raises(InvalidCacheBackendError, match="nowhere"):
            DjangoCache("nowhere")
