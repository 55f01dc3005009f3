"""Django's databases behind breakers, on a real PostgreSQL and SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, transaction
from django.db.backends.signals import connection_created
from django.db.utils import ConnectionDoesNotExist, ConnectionHandler

from breakers import (
    CircuitBreaker,
    CircuitBreakerOpen,
    PolicyError,
    Registry,
    State,
)
from breakers.integrations.django import (
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

    def test_what_connecting_asks_of_its_own_is_part_of_it(
        self, databases: Databases, alias: str
    ) -> None:
        breaker = guarded(alias, success_threshold=1)
        breaker.set_override("forced_open")
        breaker.set_override(None)

        def set_up(connection: Any, **kwargs: Any) -> None:
            run(connection, "SELECT 1")

        connection_created.connect(set_up)
        try:
            assert run(databases[alias], "SELECT 7") == [(7,)]
        finally:
            connection_created.disconnect(set_up)
        assert breaker.state is State.CLOSED

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
