"""Breakers for SQLAlchemy: connections and statements of an engine, sync and asyncio.

engine = guard(create_engine(url))
"""

from __future__ import annotations

from typing import Any, TypeVar
from weakref import WeakSet

from breakers.circuit.breaker import CircuitBreaker
from breakers.circuit.registry import Registry
from breakers.circuit.registry import registry as default_registry
from breakers.integrations.missing_extra import missing_extra
from breakers.integrations.per_host import get_or_create_breaker
from breakers.integrations.permits import guarded_call
from breakers.integrations.sql import is_control, outcome_of

try:
    from sqlalchemy import Engine, event
    from sqlalchemy.engine import Dialect, ExecutionContext
    from sqlalchemy.ext.asyncio import AsyncEngine
except ImportError as error:
    raise missing_extra("sqlalchemy", error) from error

__all__ = ["guard"]

E = TypeVar("E", bound=Engine | AsyncEngine)
_guarded: WeakSet[Engine] = WeakSet()


def guard(
    engine: E,
    breaker: CircuitBreaker | None = None,
    *,
    registry: Registry = default_registry,
    **fields: object,
) -> E:
    """The same engine, with connecting and every statement guarded by `breaker`.

    Refusals raise `CircuitBreakerOpen` and roll back like any error. Statements that begin, end or
    roll back a transaction are never refused. An error answered by the database, such as a
    violated constraint, counts as a success.

    Args:
        engine: guarded in place, and returned.
        breaker: the breaker. The default is the registered one named `db:` and the database.
        registry: the registry of the default breaker.
        fields: any field of `Policy`, for the default breaker.

    Raises:
        PolicyError: a field has a value out of range.
        ValueError: the engine is guarded already.
    """
    target = engine.sync_engine if isinstance(engine, AsyncEngine) else engine
    if target in _guarded:
        raise ValueError(f"{engine!r} is guarded already")
    if breaker is None:
        breaker = get_or_create_breaker(f"db:{_database(engine)}", registry, fields)
    _guarded.add(target)
    guarded = _Guard(breaker)
    for name in ("do_connect", "do_execute", "do_executemany", "do_execute_no_params"):
        event.listen(target, name, getattr(guarded, name))
    return engine


class _Guard:
    """Event handlers that run the dialect's steps behind the breaker. True: the step is done."""

    def __init__(self, breaker: CircuitBreaker) -> None:
        self._breaker = breaker

    def do_connect(
        self, dialect: Dialect, record: object, cargs: list[Any], cparams: dict[str, Any]
    ) -> Any:
        return guarded_call(self._breaker, outcome_of, dialect.connect, *cargs, **cparams)

    def do_execute(
        self, cursor: Any, statement: str, parameters: Any, context: ExecutionContext
    ) -> bool | None:
        if is_control(statement):
            return None
        execute = context.dialect.do_execute
        guarded_call(self._breaker, outcome_of, execute, cursor, statement, parameters, context)
        return True

    def do_executemany(
        self, cursor: Any, statement: str, parameters: Any, context: ExecutionContext
    ) -> bool:
        execute = context.dialect.do_executemany
        guarded_call(self._breaker, outcome_of, execute, cursor, statement, parameters, context)
        return True

    def do_execute_no_params(
        self, cursor: Any, statement: str, context: ExecutionContext
    ) -> bool | None:
        if is_control(statement):
            return None
        execute = context.dialect.do_execute_no_params
        guarded_call(self._breaker, outcome_of, execute, cursor, statement, context)
        return True


def _database(engine: Engine | AsyncEngine) -> str:
    """The database without the password: host and name, or file."""
    url = engine.url
    where = url.host or ""
    if url.port is not None:
        where += f":{url.port}"
    return "/".join(part for part in (where, url.database) if part) or url.get_backend_name()
