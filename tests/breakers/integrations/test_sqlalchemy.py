"""SQLAlchemy behind a breaker, on a real PostgreSQL, sync and asyncio, and on SQLite."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, create_engine, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import Session

from breakers import CircuitBreaker, CircuitBreakerOpen, PolicyError, Registry, State
from breakers.integrations.sqlalchemy import guard
from tests.breakers.integrations.conftest import counts
from tests.servers import free_port

orders = Table("orders", MetaData(), Column("n", Integer, primary_key=True))


@pytest.fixture(params=["postgresql", "sqlite"])
def engine(request: pytest.FixtureRequest, postgres_url: str, tmp_path: Path) -> Iterator[Engine]:
    urls = {
        "postgresql": postgres_url.replace("postgres://", "postgresql+psycopg://"),
        "sqlite": f"sqlite:///{tmp_path}/db.sqlite3",
    }
    made = create_engine(urls[request.param])
    orders.create(made)
    yield made
    with made.connect() as connection:
        connection.rollback()
    made.dispose()
    plain = create_engine(urls[request.param])
    orders.drop(plain)
    plain.dispose()


@pytest.fixture
def breaker() -> CircuitBreaker:
    return CircuitBreaker(failure_threshold=2)


def reopen(breaker: CircuitBreaker) -> None:
    breaker.set_override(None)
    breaker.reset()


class TestEngines:
    def test_connecting_and_statements_pass(self, engine: Engine, breaker: CircuitBreaker) -> None:
        engine.dispose()
        with guard(engine, breaker).begin() as connection:
            connection.execute(insert(orders), [{"n": 1}, {"n": 2}])
            assert connection.execute(select(orders.c.n)).scalars().all() == [1, 2]
            assert connection.exec_driver_sql("SELECT 7").scalar() == 7
            bare = connection.execution_options(no_parameters=True)
            assert bare.exec_driver_sql("SELECT 7").scalar() == 7
        assert counts(breaker)["success"] >= 4

    def test_it_says_the_same_as_without(self, engine: Engine, breaker: CircuitBreaker) -> None:
        with guard(engine, breaker).begin() as connection:
            connection.execute(insert(orders).values(n=1))
        with pytest.raises(IntegrityError), engine.begin() as connection:
            connection.execute(insert(orders).values(n=1))
        with pytest.raises((OperationalError, ProgrammingError)), engine.begin() as connection:
            connection.execute(text("SELEKT"))
        assert breaker.state is State.CLOSED
        assert "failure" not in counts(breaker), "an answer is an answer"

    def test_sessions_pass_too(self, engine: Engine, breaker: CircuitBreaker) -> None:
        with Session(guard(engine, breaker)) as session, session.begin():
            session.execute(insert(orders).values(n=1))
        breaker.set_override("forced_open")
        with pytest.raises(CircuitBreakerOpen), Session(engine) as session:
            session.execute(select(orders))

    def test_one_that_is_down_is_left_alone(self, breaker: CircuitBreaker) -> None:
        down = create_engine(f"postgresql+psycopg://tests@127.0.0.1:{free_port()}/postgres")
        guard(down, breaker)
        for _ in range(2):
            with pytest.raises(OperationalError):
                down.connect()
        with pytest.raises(CircuitBreakerOpen):
            down.connect()
        assert counts(breaker) == {"failure": 2, "rejected": 1}

    def test_refusals_cost_the_pool_no_place(self, engine: Engine, breaker: CircuitBreaker) -> None:
        small = guard(
            create_engine(engine.url, pool_size=1, max_overflow=1, pool_timeout=0.5), breaker
        )
        for _ in range(5):
            breaker.set_override("forced_open")
            for _ in range(5):
                with pytest.raises(CircuitBreakerOpen), small.connect() as connection:
                    connection.execute(text("SELECT 7"))
            reopen(breaker)
            with small.connect() as one, small.connect() as two:
                assert one.execute(text("SELECT 7")).scalar() == 7
                assert two.execute(text("SELECT 7")).scalar() == 7
            small.dispose()

    def test_a_connection_that_the_server_ends_is_a_failure_and_replaced(
        self, engine: Engine, breaker: CircuitBreaker
    ) -> None:
        if engine.name == "sqlite":
            return
        guard(engine, breaker)
        with pytest.raises(DBAPIError) as raised, engine.connect() as connection:
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        assert raised.value.connection_invalidated
        with engine.connect() as connection:
            assert connection.execute(text("SELECT 7")).scalar() == 7
        assert counts(breaker)["failure"] == 1

    def test_it_is_named_after_the_database_without_its_password(self) -> None:
        mine = Registry()
        guard(create_engine("postgresql+psycopg://me:secret@db:5433/shop"), registry=mine)
        guard(create_engine("sqlite://"), registry=mine, failure_threshold=7)
        assert [each.name for each in mine.all()] == ["db:db:5433/shop", "db:sqlite"]
        with pytest.raises(PolicyError, match="no such field"):
            guard(create_engine("sqlite://"), registry=Registry(), failures=3)

    def test_twice_is_refused(self, engine: Engine, breaker: CircuitBreaker) -> None:
        with pytest.raises(ValueError, match="guarded already"):
            guard(guard(engine, breaker), breaker)


class TestTransactions:
    """A breaker that opens in the middle of one."""

    def test_winds_back_what_was_done(self, engine: Engine, breaker: CircuitBreaker) -> None:
        guard(engine, breaker)
        with pytest.raises(CircuitBreakerOpen), engine.begin() as connection:
            connection.execute(insert(orders).values(n=1))
            breaker.set_override("forced_open")
            connection.execute(insert(orders).values(n=2))
        reopen(breaker)
        with engine.connect() as connection:
            assert connection.execute(select(orders.c.n)).scalars().all() == []

    def test_an_inner_block_winds_back_alone(self, engine: Engine, breaker: CircuitBreaker) -> None:
        guard(engine, breaker)
        with engine.begin() as connection:
            connection.execute(insert(orders).values(n=1))
            with pytest.raises(CircuitBreakerOpen), connection.begin_nested():
                connection.execute(insert(orders).values(n=2))
                breaker.set_override("forced_open")
                connection.execute(insert(orders).values(n=3))
            reopen(breaker)
            connection.execute(insert(orders).values(n=4))
        with engine.connect() as connection:
            assert connection.execute(select(orders.c.n)).scalars().all() == [1, 4]

    def test_what_was_done_before_can_be_committed(
        self, engine: Engine, breaker: CircuitBreaker
    ) -> None:
        guard(engine, breaker)
        with engine.begin() as connection:
            connection.execute(insert(orders).values(n=1))
            breaker.set_override("forced_open")
        reopen(breaker)
        with engine.connect() as connection:
            assert connection.execute(select(orders.c.n)).scalars().all() == [1]


class TestAsyncEngines:
    def engine(self, url: str, breaker: CircuitBreaker) -> AsyncEngine:
        made = create_async_engine(url.replace("postgres://", "postgresql+psycopg://"))
        return guard(made, breaker)

    async def test_connecting_and_statements_pass(
        self, postgres_url: str, breaker: CircuitBreaker
    ) -> None:
        engine = self.engine(postgres_url, breaker)
        async with engine.connect() as connection:
            assert (await connection.execute(text("SELECT 7"))).scalar() == 7
        breaker.set_override("forced_open")
        with pytest.raises(CircuitBreakerOpen):
            async with engine.connect() as connection:
                await connection.execute(text("SELECT 7"))
        await engine.dispose()

    async def test_a_cancelled_statement_says_nothing(
        self, postgres_url: str, breaker: CircuitBreaker
    ) -> None:
        engine = self.engine(postgres_url, breaker)
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 7"))
            before = counts(breaker)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await connection.execute(text("SELECT pg_sleep(5)"))
            told: dict[str, Any] = counts(breaker)
            assert told == before
        await engine.dispose()
