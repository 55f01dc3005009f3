"""SQLAlchemy behind a breaker: an engine's connections and statements, sync and asyncio.

engine = guard(create_engine(url))
"""

from __future__ import annotations

from typing import Any, TypeVar
from weakref import WeakSet

from breakers.circuit.breaker import CircuitBreaker
from breakers.circuit.registry import Registry
from breakers.circuit.registry import registry as default_registry
from breakers.integrations.missing_extra import missing
from breakers.integrations.per_host import named
from breakers.integrations.permits import through
from breakers.integrations.sql import is_control, told

try:
    from sqlalchemy import Engine, event
    from sqlalchemy.engine import Dialect, ExecutionContext
    from sqlalchemy.ext.asyncio import AsyncEngine
except ImportError as error:
    raise missing("sqlalchemy", error) from error

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
    """The same engine, whose connecting and whose every statement passes `breaker`.

    Refusals raise `CircuitBreakerOpen` and roll back like any error; what begins, ends or winds
    back a transaction is never refused. An error that the database answers, such as a violated
    constraint, counts as a success.

    Args:
        engine: guarded in place, and returned.
        breaker: where it is left out, the registered one named `db:` and the database.
        registry: where that is registered.
        fields: any field of `Policy`, for that one.

    Raises:
        PolicyError: a field has a value it cannot have.
        ValueError: the engine is guarded already.
    """
    target = engine.sync_engine if isinstance(engine, AsyncEngine) else engine
    if target in _guarded:
        raise ValueError(f"{engine!r} is guarded already")
    if breaker is None:
        breaker = named(f"db:{_database(engine)}", registry, fields)
    _guarded.add(target)
    guarded = _Guard(breaker)
    for name in ("do_connect", "do_execute", "do_executemany", "do_execute_no_params"):
        event.listen(target, name, getattr(guarded, name))
    return engine


class _Guard:
    """The dialect's own steps, behind the breaker; True says that the step was made."""

    def __init__(self, breaker: CircuitBreaker) -> None:
        self._breaker = breaker

    def do_connect(
        self, dialect: Dialect, record: object, cargs: list[Any], cparams: dict[str, Any]
    ) -> Any:
        return through(self._breaker, told, dialect.connect, *cargs, **cparams)

    def do_execute(
        self, cursor: Any, statement: str, parameters: Any, context: ExecutionContext
    ) -> bool | None:
        if is_control(statement):
            return None
        execute = context.dialect.do_execute
        through(self._breaker, told, execute, cursor, statement, parameters, context)
        return True

    def do_executemany(
        self, cursor: Any, statement: str, parameters: Any, context: ExecutionContext
    ) -> bool:
        execute = context.dialect.do_executemany
        through(self._breaker, told, execute, cursor, statement, parameters, context)
        return True

    def do_execute_no_params(
        self, cursor: Any, statement: str, context: ExecutionContext
    ) -> bool | None:
        if is_control(statement):
            return None
        execute = context.dialect.do_execute_no_params
        through(self._breaker, told, execute, cursor, statement, context)
        return True


def _database(engine: Engine | AsyncEngine) -> str:
    """Where it is, without the password: host and database, or the file."""
    url = engine.url
    where = url.host or ""
    if url.port is not None:
        where += f":{url.port}"
    return "/".join(part for part in (where, url.database) if part) or url.get_backend_name()
