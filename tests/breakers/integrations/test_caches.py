"""Caches in Redis: what every one of them must do, and a Redis that is taken away."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from breakers import CallOptions, PolicyError, ResilientCaller
from breakers.calls.backends import _logged_at
from breakers.integrations.redis_cache import AsyncRedisCache, RedisCache, Serializer
from tests.servers import free_port


class NotThere(Exception):
    pass


class Cached:
    """A sync or asyncio cache and a caller that keeps answers in it, asked the same way."""

    def __init__(self, cache: Any, loop: asyncio.AbstractEventLoop | None) -> None:
        self.cache, self.loop = cache, loop
        self.caller = ResilientCaller(cache=cache)

    def _done(self, answer: Any) -> Any:
        return answer if self.loop is None else self.loop.run_until_complete(answer)

    def get(self, key: str) -> Any:
        return self._done(self.cache.get(key))

    def set(self, key: str, value: Any, ttl: float) -> None:
        self._done(self.cache.set(key, value, ttl=ttl))

    def call(self, func: Callable[[], Any], **options: Any) -> Any:
        made = CallOptions(**{"timeout": None, "retries": 1, "cache_key": "key", **options})
        if self.loop is None:
            return self.caller.call(func, made)

        async def afunc() -> Any:
            return func()

        return self.loop.run_until_complete(self.caller.acall(afunc, made))


@pytest.fixture(
    params=[(RedisCache, "json"), (RedisCache, "pickle"), (AsyncRedisCache, "json")],
    ids=["json", "pickle", "async"],
)
def cached(request: pytest.FixtureRequest, redis_url: str) -> Iterator[Cached]:
    kind, serializer = request.param
    redis.Redis.from_url(redis_url).flushdb()
    loop = asyncio.new_event_loop() if kind is AsyncRedisCache else None
    made = Cached(kind.from_url(redis_url, serializer=serializer, namespace="shop"), loop)
    yield made
    if loop is not None:
        loop.run_until_complete(made.cache.aclose())
        loop.close()


class TestEveryCache:
    def test_what_is_set_is_got(self, cached: Cached) -> None:
        cached.set("user:7", {"name": "Ada", "posts": [1, 2]}, ttl=60)
        assert cached.get("user:7") == {"name": "Ada", "posts": [1, 2]}

    def test_what_is_not_is_none(self, cached: Cached) -> None:
        assert cached.get("nobody") is None

    def test_its_time_ends(self, cached: Cached) -> None:
        cached.set("short", 1, ttl=0.02)
        time.sleep(0.04)
        assert cached.get("short") is None

    def test_none_is_a_value(self, cached: Cached) -> None:
        answers = iter([None])
        assert cached.call(lambda: next(answers)) is None
        assert cached.call(lambda: next(answers)) is None

    def test_a_stale_answer_stands_in(self, cached: Cached) -> None:
        answers = iter(["answer"])
        options = {"cache_ttl": 0.02, "stale_ttl": 60}
        assert cached.call(lambda: next(answers), **options) == "answer"
        time.sleep(0.04)

        def broken() -> str:
            raise ConnectionError

        assert cached.call(broken, **options) == "answer"

    def test_a_failure_that_is_an_answer_is_kept(self, cached: Cached) -> None:
        asked = []

        def missing() -> None:
            asked.append(1)
            raise NotThere("user 7")

        for _ in range(2):
            with pytest.raises(NotThere, match="user 7"):
                cached.call(missing, negative_on=(NotThere,))
        assert len(asked) == 1


class TestSingleFlight:
    def test_of_several_threads_one_asks(self, redis_url: str) -> None:
        redis.Redis.from_url(redis_url).flushdb()
        caller = ResilientCaller(cache=RedisCache.from_url(redis_url, serializer="json"))
        options = CallOptions(timeout=None, retries=1, cache_key="one")
        asked: list[int] = []
        answers: list[str] = []

        def slow() -> str:
            asked.append(1)
            time.sleep(0.1)
            return "answer"

        crowd = [
            threading.Thread(target=lambda: answers.append(caller.call(slow, options)))
            for _ in range(8)
        ]
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join(20)
        assert (len(asked), answers) == (1, ["answer"] * 8)


class TestARedisThatIsDown:
    def test_is_a_miss_and_a_warning(self, caplog: pytest.LogCaptureFixture) -> None:
        _logged_at.clear()
        cache = RedisCache.from_url(f"redis://127.0.0.1:{free_port()}", serializer="json")
        caller = ResilientCaller(cache=cache)
        options = CallOptions(timeout=None, retries=1, cache_key="key")
        assert [caller.call(lambda: "answer", options) for _ in range(3)] == ["answer"] * 3
        said = [record.message for record in caplog.records if "Redis cache" in record.message]
        assert len(said) == 1, "once a minute"

    async def test_so_it_is_for_coroutines(self) -> None:
        url = f"redis://127.0.0.1:{free_port()}"
        cache = AsyncRedisCache.from_url(url, serializer="json")
        await cache.set("key", 1, ttl=60)
        assert await cache.get("key") is None

    def test_one_that_is_silent_costs_its_timeout_three_times_and_then_nothing(self) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=16) as silent:
            url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
            cache = RedisCache.from_url(url, serializer="json", timeout=0.05)
            began = time.monotonic()
            for _ in range(100):
                assert cache.get("key") is None
            assert time.monotonic() - began < 2, "a hundred timeouts are five seconds"

    def test_it_comes_back(self, redis_url: str) -> None:
        cache = RedisCache.from_url(redis_url, serializer="json")
        cache.set("key", 1, ttl=60)
        # The server forgets our idle connection, as a restart does.
        redis.Redis.from_url(redis_url).client_kill_filter(_type="normal", skipme=True)
        assert cache.get("key") == 1


class TestSerializers:
    def test_one_must_be_chosen(self, redis_url: str) -> None:
        with pytest.raises(TypeError, match="serializer"):
            RedisCache.from_url(redis_url)  # type: ignore[call-arg]
        with pytest.raises(PolicyError, match="serializer is 'yaml'"):
            RedisCache.from_url(redis_url, serializer="yaml")  # type: ignore[arg-type]

    def test_pickle_keeps_what_json_cannot(self, redis_url: str) -> None:
        cache = RedisCache.from_url(redis_url, serializer="pickle")
        cache.set("key", {1: ("a", frozenset({2}))}, ttl=60)
        assert cache.get("key") == {1: ("a", frozenset({2}))}

    def test_what_it_cannot_keep_is_not_kept_and_harms_nobody(self, redis_url: str) -> None:
        cache = RedisCache.from_url(redis_url, serializer="json", namespace="odd")
        cache.set("key", object(), ttl=60)
        assert cache.get("key") is None

    def test_what_it_cannot_read_is_a_miss(self, redis_url: str) -> None:
        cache = RedisCache.from_url(redis_url, serializer="json", namespace="odd")
        redis.Redis.from_url(redis_url).set("odd:key", b"\x80\x05 no json")
        assert cache.get("key") is None

    def test_ones_own(self, redis_url: str) -> None:
        upper = Serializer(lambda value: value.upper().encode(), lambda data: data.decode())
        cache = RedisCache.from_url(redis_url, serializer=upper)
        cache.set("key", "text", ttl=60)
        assert cache.get("key") == "TEXT"

    def test_namespaces_keep_apart(self, redis_url: str) -> None:
        one, other = (
            RedisCache.from_url(redis_url, serializer="json", namespace=name)
            for name in ("one", "other")
        )
        one.set("key", 1, ttl=60)
        assert other.get("key") is None
        assert redis.Redis.from_url(redis_url).get("one:key") == b"1"
        with pytest.raises(PolicyError, match="namespace"):
            RedisCache.from_url(redis_url, serializer="json", namespace="")
