"""Django's databases behind breakers: connecting, and every statement."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from breakers.circuit.breaker import CircuitBreaker
from breakers.circuit.registry import Registry
from breakers.circuit.registry import registry as default_registry
from breakers.integrations.missing_extra import missing
from breakers.integrations.per_host import named
from breakers.integrations.permits import Outermost
from breakers.integrations.sql import is_control, told

try:
    from django.db import connections
    from django.db.backends.base.base import BaseDatabaseWrapper
except ImportError as error:
    raise missing("django", error) from error

Execute = Callable[[str, Any, bool, dict[str, Any]], Any]


def guard_databases(
    *aliases: str, registry: Registry = default_registry, **fields: object
) -> list[CircuitBreaker]:
    """Put databases of Django's settings behind breakers named `db:` and their alias.

    Call it once, in an `AppConfig.ready`. Every connection that this process makes from then on,
    and those it has, ask the breaker before connecting and before each statement; what begins, ends
    or winds back a transaction is never refused, so that `atomic` blocks end as ever. An error that
    the database answers, such as a violated constraint, counts as a success.

    Args:
        aliases: which ones of `DATABASES`; all where none is named.
        registry: where the breakers are registered.
        fields: any field of `Policy`, for each of them.

    Raises:
        PolicyError: a field has a value it cannot have.
        ConnectionDoesNotExist: there is no database of that alias.
    """
    guarded: dict[str, CircuitBreaker] = {}
    for alias in aliases or tuple(connections):
        # Also how an alias that is not in the settings is refused.
        connections[alias]
        guarded[alias] = named(f"db:{alias}", registry, fields)
    make = connections.create_connection

    def create_connection(alias: str) -> BaseDatabaseWrapper:
        connection = make(alias)
        if alias in guarded:
            _guard(connection, guarded[alias])
        return connection

    # There is no signal before a connection connects, which is where a database that is down hangs.
    setattr(connections, "create_connection", create_connection)  # noqa: B010
    for connection in connections.all(initialized_only=True):
        if connection.alias in guarded:
            _guard(connection, guarded[connection.alias])
    return list(guarded.values())


def _guard(connection: BaseDatabaseWrapper, breaker: CircuitBreaker) -> None:
    if any(isinstance(wrapper, _Statements) for wrapper in connection.execute_wrappers):
        return
    # Connecting may make statements of its own.
    way = Outermost(breaker, told)
    connection.execute_wrappers.append(_Statements(way))
    setattr(connection, "connect", functools.partial(way.through, connection.connect))  # noqa: B010


class _Statements:
    """An execute wrapper: Django's hook around each statement."""

    def __init__(self, way: Outermost) -> None:
        self._way = way

    def __call__(
        self, execute: Execute, sql: str, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        if is_control(sql):
            return execute(sql, params, many, context)
        return self._way.through(execute, sql, params, many, context)
