"""Django behind breakers: its databases on a real PostgreSQL and SQLite, its views, its cache."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import InvalidCacheBackendError, caches
from django.core.signals import request_finished
from django.db import IntegrityError, OperationalError, transaction
from django.db.utils import ConnectionDoesNotExist, ConnectionHandler
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import path

from breakers import (
    BulkheadFull,
    CallOptions,
    CallTimeout,
    CircuitBreaker,
    CircuitBreakerOpen,
    PolicyError,
    RateLimited,
    Registry,
    ResilientCaller,
    State,
)
from breakers.integrations.django import (
    AsyncDjangoCache,
    BreakerMiddleware,
    DjangoCache,
    guard_databases,
)
from tests.breakers.integrations.conftest import counts
from tests.servers import free_port

Databases = Any


@pytest.fixture
def databases(
    monkeypatch: pytest.MonkeyPatch,
    postgres_url: str,
    tmp_path: Path,
    django_db_blocker: Any,
) -> Iterator[Databases]:
    """Connections of their own, so that those of other tests stay as they are."""
    port = int(postgres_url.rpartition(":")[2].partition("/")[0])
    server = {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "USER": "tests"}
    own = ConnectionHandler(
        {
            "default": {**server, "NAME": "postgres", "PORT": port},
            "file": {"ENGINE": "django.db.backends.sqlite3", "NAME": tmp_path / "db.sqlite3"},
            "down": {**server, "NAME": "postgres", "PORT": free_port()},
        }
    )
    for user in ("breakers.integrations.django.database", "django.db.transaction"):
        monkeypatch.setattr(f"{user}.connections", own)
    with django_db_blocker.unblock():
        yield own
        own.close_all()


@pytest.fixture(params=["default", "file"], ids=["postgresql", "sqlite"])
def alias(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def guarded(alias: str, **fields: Any) -> CircuitBreaker:
    (breaker,) = guard_databases(alias, registry=Registry(), **fields)
    return breaker


def run(connection: Any, sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else None


class TestDatabases:
    def test_connecting_and_statements_pass(self, databases: Databases, alias: str) -> None:
        breaker = guarded(alias)
        assert run(databases[alias], "SELECT 7") == [(7,)]
        assert counts(breaker)["success"] >= 2
        assert breaker.name == f"db:{alias}"

    def test_connections_that_are_there_already_are_guarded_too(
        self, databases: Databases, alias: str
    ) -> None:
        run(databases[alias], "SELECT 1")
        breaker = guarded(alias)
        run(databases[alias], "SELECT 1")
        assert counts(breaker) == {"success": 1}

    def test_twice_is_once(self, databases: Databases, alias: str) -> None:
        breaker = guarded(alias)
        guard_databases(alias, registry=Registry())
        connection = databases.create_connection(alias)
        assert len(connection.execute_wrappers) == 1
        run(connection, "SELECT 1")
        before = counts(breaker)["success"]
        run(connection, "SELECT 1")
        assert counts(breaker)["success"] == before + 1
        connection.close()

    def test_a_violated_constraint_is_an_answer(self, databases: Databases, alias: str) -> None:
        breaker = guarded(alias, failure_threshold=1)
        run(databases[alias], "CREATE TABLE IF NOT EXISTS one (n INTEGER PRIMARY KEY)")
        run(databases[alias], "INSERT INTO one VALUES (1)")
        with pytest.raises(IntegrityError):
            run(databases[alias], "INSERT INTO one VALUES (1)")
        with pytest.raises(Exception, match=r"(?i)syntax"):
            run(databases[alias], "SELEKT")
        assert breaker.state is State.CLOSED
        run(databases[alias], "DROP TABLE one")

    def test_a_database_that_is_down_opens_it_and_is_then_left_alone(
        self, databases: Databases
    ) -> None:
        breaker = guarded("down", failure_threshold=2)
        for _ in range(2):
            with pytest.raises(OperationalError):
                run(databases["down"], "SELECT 1")
        with pytest.raises(CircuitBreakerOpen):
            run(databases["down"], "SELECT 1")
        assert counts(breaker) == {"failure": 2, "rejected": 1}

    def test_a_connection_that_the_server_ends_is_a_failure(self, databases: Databases) -> None:
        breaker = guarded("default")
        run(databases["default"], "SELECT 1")
        with pytest.raises(OperationalError):
            run(databases["default"], "SELECT pg_terminate_backend(pg_backend_pid())")
        assert counts(breaker)["failure"] == 1

    def test_a_statement_that_runs_out_of_time_is_a_timeout(self, databases: Databases) -> None:
        breaker = guarded("default")
        run(databases["default"], "SET statement_timeout = 20")
        with pytest.raises(OperationalError, match="statement timeout"):
            run(databases["default"], "SELECT pg_sleep(5)")
        assert counts(breaker)["timeout"] == 1

    def test_a_lock_that_another_holds_too_long_is_a_failure(self, databases: Databases) -> None:
        breaker = guarded("file")
        run(databases["file"], "CREATE TABLE t (n INTEGER)")
        other = databases.create_connection("file")
        run(databases["file"], "PRAGMA busy_timeout = 10")
        run(other, "BEGIN IMMEDIATE")
        with pytest.raises(OperationalError, match="locked"):
            run(databases["file"], "INSERT INTO t VALUES (1)")
        other.close()
        assert counts(breaker)["failure"] == 1

    def test_others_stay_as_they_are(self, databases: Databases) -> None:
        guarded("default")
        assert databases["file"].execute_wrappers == []

    def test_all_of_them_where_none_is_named(self, databases: Databases) -> None:
        made = guard_databases(registry=Registry(), failure_threshold=9)
        assert [each.name for each in made] == ["db:default", "db:file", "db:down"]
        assert made[0].policy.failure_threshold == 9

    def test_misuse_is_refused(self, databases: Databases) -> None:
        with pytest.raises(ConnectionDoesNotExist):
            guard_databases("nowhere", registry=Registry())
        with pytest.raises(PolicyError, match="no such field"):
            guard_databases(registry=Registry(), failures=3)


class TestTransactions:
    """A breaker that opens in the middle of one."""

    @pytest.fixture
    def table(self, databases: Databases, alias: str) -> Iterator[Any]:
        connection = databases[alias]
        run(connection, "CREATE TABLE IF NOT EXISTS orders (n INTEGER)")
        run(connection, "DELETE FROM orders")
        yield connection
        run(connection, "DROP TABLE orders")

    def test_winds_back_what_was_done(self, table: Any, alias: str) -> None:
        breaker = guarded(alias)
        with pytest.raises(CircuitBreakerOpen), transaction.atomic(using=alias):
            run(table, "INSERT INTO orders VALUES (1)")
            breaker.set_override("forced_open")
            run(table, "INSERT INTO orders VALUES (2)")
        breaker.set_override(None)
        breaker.reset()
        assert run(table, "SELECT n FROM orders") == []
        assert not table.in_atomic_block
        assert not table.needs_rollback

    def test_an_inner_block_winds_back_alone(self, table: Any, alias: str) -> None:
        breaker = guarded(alias)
        with transaction.atomic(using=alias):
            run(table, "INSERT INTO orders VALUES (1)")
            with pytest.raises(CircuitBreakerOpen), transaction.atomic(using=alias):
                run(table, "INSERT INTO orders VALUES (2)")
                breaker.set_override("forced_open")
                run(table, "INSERT INTO orders VALUES (3)")
            breaker.set_override(None)
            breaker.reset()
            run(table, "INSERT INTO orders VALUES (4)")
        assert run(table, "SELECT n FROM orders ORDER BY n") == [(1,), (4,)]

    def test_what_was_done_before_can_be_committed(self, table: Any, alias: str) -> None:
        breaker = guarded(alias)
        with transaction.atomic(using=alias):
            run(table, "INSERT INTO orders VALUES (1)")
            breaker.set_override("forced_open")
        breaker.set_override(None)
        breaker.reset()
        assert run(table, "SELECT n FROM orders") == [(1,)]

    def test_a_probe_is_one_statement_and_a_transaction_may_have_many(
        self, table: Any, alias: str
    ) -> None:
        breaker = guarded(alias, success_threshold=2)
        breaker.set_override("forced_open")
        breaker.set_override(None)
        assert breaker.state is State.HALF_OPEN
        with transaction.atomic(using=alias):
            for n in range(3):
                run(table, f"INSERT INTO orders VALUES ({n})")
        assert breaker.state is State.CLOSED


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


class Failing:
    """A middleware of somebody else whose own dependency is open."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> Any:
        if request.headers.get("X-Session") == "open":
            raise ERRORS["open"]
        return self.get_response(request)


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
    ROOT_URLCONF=__name__, MIDDLEWARE=[OURS, f"{__name__}.Failing"], TEMPLATES=[]
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
