"""redis-py behind a breaker: every command of a client, its pipelines and scripts included.

client = guard(redis.Redis.from_url(url, socket_timeout=1.0))
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Final, TypeVar

from breakers.circuit.breaker import CircuitBreaker
from breakers.circuit.registry import Registry
from breakers.circuit.registry import registry as default_registry
from breakers.errors import CallTimeout
from breakers.integrations.missing_extra import missing_extra
from breakers.integrations.per_host import get_or_create_breaker, host_name
from breakers.integrations.permits import NoOutcome, ReentrantGuard, guarded_acall, guarded_call

try:
    import redis.asyncio
    from redis import exceptions
except ImportError as error:
    raise missing_extra("redis", error) from error

__all__ = ["guard", "outcome_of"]

C = TypeVar(
    "C",
    bound="redis.Redis | redis.asyncio.Redis | redis.RedisCluster | redis.asyncio.RedisCluster",
)
Guard = Callable[..., Any]
# Errors of a server that does not serve, some of them answers.
_FAILURES: Final = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.OutOfMemoryError,
    exceptions.ClusterError,
    exceptions.TryAgainError,
    exceptions.SlotNotCoveredError,
    OSError,
)
# Answers without an exception class of their own, by prefix.
_REFUSES_WRITES: Final = ("MISCONF", "NOREPLICAS")


def guard(
    client: C,
    breaker: CircuitBreaker | None = None,
    *,
    registry: Registry = default_registry,
    **fields: object,
) -> C:
    """The same client (sync or asyncio, server or cluster), with every command guarded by
    `breaker`.

    A pipeline counts as one call, when it is executed. `pubsub` and `monitor` are not guarded.

    Args:
        client: guarded in place, and returned.
        breaker: the breaker. The default is the registered one named `redis:` and the server's
            address; a cluster has no default.
        registry: the registry of the default breaker.
        fields: any field of `Policy`, for the default breaker.

    Raises:
        PolicyError: a field has a value out of range.
        ValueError: the client is guarded already, or a cluster's client has no breaker.
    """
    if "execute_command" in vars(client):
        raise ValueError(f"{client!r} is guarded already")
    if breaker is None:
        breaker = get_or_create_breaker(f"redis:{_address(client)}", registry, fields)
    sync, asynchronous = (
        functools.partial(guard_function, breaker, outcome_of)
        for guard_function in (guarded_call, guarded_acall)
    )
    _put_behind(client, "execute_command", sync, asynchronous)
    make = client.pipeline

    def pipeline(*args: Any, **kwargs: Any) -> Any:
        made = make(*args, **kwargs)
        # Executing may load scripts by immediate commands, which a cluster's pipeline lacks.
        reentrant = ReentrantGuard(breaker, outcome_of)
        for name in ("execute", "immediate_execute_command"):
            if hasattr(made, name):
                _put_behind(made, name, reentrant.call, reentrant.acall)
        return made

    _replace(client, "pipeline", pipeline)
    return client


def outcome_of(error: BaseException) -> BaseException | None:
    """The error to record for a Redis error. None: the server answered, record a success."""
    if isinstance(error, exceptions.MaxConnectionsError):
        # The client's own pool is full: the command was not sent.
        return NoOutcome()
    if isinstance(error, exceptions.TimeoutError):
        return CallTimeout()
    # A cluster that cannot be reached raises an error of its own.
    if isinstance(error, _FAILURES) or isinstance(error.__cause__, _FAILURES):
        return error
    if str(error).startswith(_REFUSES_WRITES):
        return error
    return None if isinstance(error, exceptions.RedisError) else NoOutcome()


def _put_behind(owner: Any, name: str, sync: Guard, asynchronous: Guard) -> None:
    method = getattr(owner, name)
    guard = asynchronous if inspect.iscoroutinefunction(method) else sync
    _replace(owner, name, functools.partial(guard, method))


def _replace(owner: Any, name: str, method: Callable[..., Any]) -> None:
    setattr(owner, name, method)


def _address(client: Any) -> str:
    pool = getattr(client, "connection_pool", None)
    if pool is None:
        raise ValueError("a cluster has no single address: pass a named breaker")
    where: dict[str, Any] = pool.connection_kwargs
    if "path" in where:
        return str(where["path"])
    return host_name("redis", str(where.get("host", "localhost")), where.get("port"))
