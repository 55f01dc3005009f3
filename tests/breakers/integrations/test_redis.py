"""redis-py behind a breaker, against a real Redis that is also taken away."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio

from breakers import CircuitBreaker, CircuitBreakerOpen, Registry, State
from breakers.integrations.redis import guard
from tests.breakers.integrations.conftest import counts
from tests.servers import free_port, redis_cluster


def breaker(**fields: Any) -> CircuitBreaker:
    return CircuitBreaker(failure_threshold=2, **fields)


class TestSync:
    def test_commands_pass_and_answer_as_before(self, redis_url: str) -> None:
        own = breaker()
        client = guard(redis.Redis.from_url(redis_url), own)
        client.set("redis-test", "7")
        assert client.get("redis-test") == b"7"
        assert counts(own) == {"success": 2}

    def test_a_pipeline_passes_once(self, redis_url: str) -> None:
        own = breaker()
        client = guard(redis.Redis.from_url(redis_url), own)
        with client.pipeline() as pipeline:
            pipeline.incr("redis-n")
            pipeline.expire("redis-n", 60)
            assert pipeline.execute()[1] is True
        assert counts(own) == {"success": 1}

    def test_a_watching_transaction_passes(self, redis_url: str) -> None:
        own = breaker()
        client = guard(redis.Redis.from_url(redis_url), own)

        def double(pipeline: Any) -> None:
            now = int(pipeline.get("redis-double") or 1)
            pipeline.multi()
            pipeline.set("redis-double", now * 2)

        client.transaction(double, "redis-double")
        assert client.get("redis-double") == b"2"
        assert counts(own) == {"success": 4}, "watch, get, execute; get"

    def test_scripts_pass(self, redis_url: str) -> None:
        own = breaker()
        client = guard(redis.Redis.from_url(redis_url), own)
        assert client.register_script("return ARGV[1]")(args=[7]) == b"7"
        assert "failure" not in counts(own)

    def test_a_pipeline_that_loads_its_scripts_passes_once(self, redis_url: str) -> None:
        own = breaker(success_threshold=1)
        client = guard(redis.Redis.from_url(redis_url), own)
        own.set_override("forced_open")
        own.set_override(None)
        with client.pipeline() as pipeline:
            client.register_script("return ARGV[1] .. '!'")(args=["once"], client=pipeline)
            assert pipeline.execute() == [b"once!"]
        assert own.state is State.CLOSED
        assert counts(own) == {"success": 1}

    def test_an_error_that_redis_answers_is_an_answer(self, redis_url: str) -> None:
        own = breaker()
        client = guard(redis.Redis.from_url(redis_url), own)
        client.set("redis-text", "x")
        for _ in range(3):
            with pytest.raises(redis.ResponseError):
                client.incr("redis-text")
        assert own.state is State.CLOSED
        assert counts(own) == {"success": 4}

    def test_one_that_is_full_or_read_only_fails(self, redis_url: str) -> None:
        own = breaker()
        plain = redis.Redis.from_url(redis_url)
        client = guard(redis.Redis.from_url(redis_url), own)
        plain.config_set("maxmemory", 1)
        try:
            with pytest.raises(redis.OutOfMemoryError):
                client.set("redis-big", "x")
        finally:
            plain.config_set("maxmemory", 0)
        assert counts(own) == {"failure": 1}

    def test_one_that_refuses_writes_fails(self, redis_url: str) -> None:
        own = breaker()
        plain = redis.Redis.from_url(redis_url)
        client = guard(redis.Redis.from_url(redis_url), own)
        plain.config_set("min-replicas-to-write", 1)
        try:
            with pytest.raises(redis.ResponseError, match="NOREPLICAS"):
                client.set("redis-write", "x")
        finally:
            plain.config_set("min-replicas-to-write", 0)
        assert counts(own) == {"failure": 1}

    def test_nobody_listening_opens_it_and_then_nobody_is_asked(self) -> None:
        own = breaker()
        client = guard(redis.Redis(port=free_port(), retry=None), own)
        for _ in range(2):
            with pytest.raises(redis.ConnectionError):
                client.get("x")
        with pytest.raises(CircuitBreakerOpen):
            client.get("x")
        with pytest.raises(CircuitBreakerOpen), client.pipeline() as pipeline:
            pipeline.get("x").execute()
        assert counts(own) == {"failure": 2, "rejected": 2}

    def test_silence_is_a_timeout(self, black_hole: int) -> None:
        own = breaker()
        client = guard(redis.Redis(port=black_hole, socket_timeout=0.05, retry=None), own)
        with pytest.raises(redis.TimeoutError):
            client.get("x")
        assert counts(own) == {"timeout": 1}

    def test_a_full_pool_of_ours_says_nothing(self, redis_url: str) -> None:
        own = breaker()
        pool = redis.ConnectionPool.from_url(redis_url, max_connections=1)
        client = guard(redis.Redis(connection_pool=pool), own)
        held = pool.get_connection()
        with pytest.raises(redis.exceptions.MaxConnectionsError):
            client.get("x")
        pool.release(held)
        assert counts(own) == {}

    def test_it_is_named_after_the_server_and_tuned(self) -> None:
        mine = Registry()
        guard(redis.Redis(host="cache", port=6380), registry=mine, failure_threshold=7)
        guard(redis.Redis(host="cache"), registry=mine)
        guard(redis.Redis(host="cache"), registry=mine)
        assert [each.name for each in mine.all()] == ["redis:cache:6380", "redis:cache"]
        assert mine.all()[0].policy.failure_threshold == 7

    def test_twice_is_refused(self) -> None:
        client = guard(redis.Redis(), breaker())
        with pytest.raises(ValueError, match="guarded already"):
            guard(client, breaker())


class TestAsync:
    async def test_commands_and_pipelines_pass(self, redis_url: str) -> None:
        own = breaker()
        client = guard(redis.asyncio.Redis.from_url(redis_url), own)
        await client.set("redis-async", "7")
        assert await client.get("redis-async") == b"7"
        async with client.pipeline() as pipeline:
            await pipeline.watch("redis-async")
            pipeline.multi()
            assert await pipeline.get("redis-async").execute() == [b"7"]
        assert counts(own) == {"success": 4}
        await client.aclose()

    async def test_a_pipeline_that_loads_its_scripts_passes_once(self, redis_url: str) -> None:
        own = breaker(success_threshold=1)
        client = guard(redis.asyncio.Redis.from_url(redis_url), own)
        own.set_override("forced_open")
        own.set_override(None)
        async with client.pipeline() as pipeline:
            await client.register_script("return ARGV[1] .. '?'")(args=["once"], client=pipeline)
            assert await pipeline.execute() == [b"once?"]
        assert own.state is State.CLOSED
        await client.aclose()

    async def test_an_open_one_asks_nobody(self) -> None:
        own = breaker()
        client = guard(redis.asyncio.Redis(port=free_port(), retry=None), own)
        for _ in range(2):
            with pytest.raises(redis.ConnectionError):
                await client.get("x")
        with pytest.raises(CircuitBreakerOpen):
            await client.get("x")
        await client.aclose()

    async def test_a_cancelled_command_says_nothing(self, black_hole: int) -> None:
        own = breaker()
        client = guard(redis.asyncio.Redis(port=black_hole), own)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.get("x")
        assert counts(own) == {}
        await client.aclose()


class TestClusters:
    def test_commands_and_pipelines_pass(self, tmp_path: Path) -> None:
        own = breaker()

        async def ask(url: str) -> None:
            client = guard(redis.asyncio.RedisCluster.from_url(url), own)
            await client.set("x", 1)
            async with client.pipeline() as pipeline:
                assert await pipeline.get("x").get("y").execute() == [b"1", b"2"]
            await client.aclose()

        with redis_cluster(tmp_path) as cluster:
            url = cluster.replace("+cluster", "")
            client = guard(redis.RedisCluster.from_url(url), own)
            client.set("y", 2)
            assert client.pipeline().get("y").execute() == [b"2"]
            assert counts(own) == {"success": 2}
            asyncio.run(ask(url))
            assert counts(own) == {"success": 4}
            with pytest.raises(ValueError, match="pass a named breaker"):
                guard(redis.RedisCluster.from_url(url))
            with pytest.raises(redis.RedisClusterException, match="same key slot"):
                client.mget("x", "y")
            assert "failure" not in counts(own)
        for _ in range(2):
            with pytest.raises((redis.RedisError, redis.RedisClusterException)):
                client.get("y")
        assert own.state is State.OPEN


@pytest.fixture
def black_hole() -> Iterator[int]:
    """The port of somebody who takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as silent:
        yield silent.getsockname()[1]
