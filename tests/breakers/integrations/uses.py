"""What a type checker must make of the integrations. Read by mypy, see test_types.py; never run."""

from __future__ import annotations

from typing import Any, assert_type

import httpx
import redis
import redis.asyncio
import requests
from sqlalchemy import Engine, create_engine
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from breakers import CallOptions, CircuitBreaker, ResilientCaller
from breakers.integrations.asgi import BreakerMiddleware
from breakers.integrations.django import AsyncDjangoCache, DjangoCache, guard_databases
from breakers.integrations.httpx import AsyncResilientTransport, PerHost, ResilientTransport
from breakers.integrations.redis import guard as guard_redis
from breakers.integrations.redis_cache import AsyncRedisCache, RedisCache
from breakers.integrations.requests import ResilientAdapter
from breakers.integrations.sqlalchemy import guard as guard_engine

breaker = CircuitBreaker()

httpx.Client(transport=ResilientTransport(breaker=PerHost(max_hosts=9), retries=2, deadline=5.0))
httpx.Client(transport=ResilientTransport(httpx.HTTPTransport(), breaker=breaker))
httpx.AsyncClient(transport=AsyncResilientTransport(is_safe=lambda request: True))
ResilientTransport(retrys=2)  # type: ignore[call-arg]
ResilientTransport(retries="2")  # type: ignore[arg-type]
ResilientTransport(httpx.AsyncHTTPTransport())  # type: ignore[arg-type]
requests.Session().mount("https://", ResilientAdapter(timeout=2.0))

assert_type(guard_redis(redis.Redis()), redis.Redis)
assert_type(guard_redis(redis.asyncio.Redis(), breaker), redis.asyncio.Redis)
assert_type(guard_engine(create_engine("sqlite://")), Engine)
assert_type(guard_engine(create_async_engine("sqlite+aiosqlite://")), AsyncEngine)
assert_type(guard_databases("default"), list[CircuitBreaker])

ResilientCaller(cache=RedisCache.from_url("redis://localhost", serializer="json"))
ResilientCaller(cache=AsyncRedisCache.from_url("redis://localhost", serializer="pickle"))
ResilientCaller(cache=DjangoCache()).call(len, CallOptions(timeout=1.0), "four")
ResilientCaller(cache=AsyncDjangoCache())
RedisCache.from_url("redis://localhost")  # type: ignore[call-arg]
RedisCache.from_url("redis://localhost", serializer="yaml")  # type: ignore[arg-type]


async def app(scope: Any, receive: Any, send: Any) -> None: ...


BreakerMiddleware(app, deadline=5.0)
