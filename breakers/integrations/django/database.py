"""Breakers for Django's databases: connecting and every statement."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from breakers.circuit.breaker import CircuitBreaker
from breakers.circuit.registry import Registry
from breakers.circuit.registry import registry as default_registry
from breakers.integrations.missing_extra import missing_extra
from breakers.integrations.per_host import get_or_create_breaker
from breakers.integrations.permits import ReentrantGuard
from breakers.integrations.sql import is_control, outcome_of

try:
    from django.db import connections
    from django.db.backends.base.base import BaseDatabaseWrapper
except ImportError as error:
    raise missing_extra("django", error) from error

Execute = Callable[[str, Any, bool, dict[str, Any]], Any]


def guard_databases(
    *aliases: str, registry: Registry = default_registry, **fields: object
) -> list[CircuitBreaker]:
    """Guard the databases of Django's settings with breakers named `db:` and the alias.

    Call it once, in `AppConfig.ready`. It guards existing and future connections of this process:
    connecting and every statement. Statements that begin, end or roll back a transaction are never
    refused, so that `atomic` blocks can end. An error answered by the database, such as a violated
    constraint, counts as a success.

    Args:
        aliases: keys of `DATABASES`; all by default.
        registry: the registry of the breakers.
        fields: any field of `Policy`, for each breaker.

    Raises:
        PolicyError: a field has a value out of range.
        ConnectionDoesNotExist: `DATABASES` has no such alias.
    """
    guarded: dict[str, CircuitBreaker] = {}
    for alias in aliases or tuple(connections):
        # Raises for an unknown alias.
        connections[alias]
        guarded[alias] = get_or_create_breaker(f"db:{alias}", registry, fields)
    make = connections.create_connection

    def create_connection(alias: str) -> BaseDatabaseWrapper:
        connection = make(alias)
        if alias in guarded:
            _guard(connection, guarded[alias])
        return connection

    # Django has no signal before a connection connects, where a database that is down hangs.
    setattr(connections, "create_connection", create_connection)  # noqa: B010
    for connection in connections.all(initialized_only=True):
        if connection.alias in guarded:
            _guard(connection, guarded[connection.alias])
    return list(guarded.values())


def _guard(connection: BaseDatabaseWrapper, breaker: CircuitBreaker) -> None:
    if any(isinstance(wrapper, _Statements) for wrapper in connection.execute_wrappers):
        return
    # Connecting may execute statements.
    guard = ReentrantGuard(breaker, outcome_of)
    connection.execute_wrappers.append(_Statements(guard))
    setattr(connection, "connect", functools.partial(guard.call, connection.connect))  # noqa: B010


class _Statements:
    """An execute wrapper, Django's hook around each statement."""

    def __init__(self, guard: ReentrantGuard) -> None:
        self._guard = guard

    def __call__(
        self, execute: Execute, sql: str, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        if is_control(sql):
            return execute(sql, params, many, context)
        return self._guard.call(execute, sql, params, many, context)
