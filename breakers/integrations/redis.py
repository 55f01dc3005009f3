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
from breakers.integrations.missing_extra import missing
from breakers.integrations.per_host import host_name, named
from breakers.integrations.permits import NothingLearnt, Outermost, athrough, through

try:
    import redis.asyncio
    from redis import exceptions
except ImportError as error:
    raise missing("redis", error) from error

__all__ = ["guard", "told"]

C = TypeVar(
    "C",
    bound="redis.Redis | redis.asyncio.Redis | redis.RedisCluster | redis.asyncio.RedisCluster",
)
Way = Callable[..., Any]
# The server answered with these, yet it does not serve.
_DISTRESS: Final = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.OutOfMemoryError,
    exceptions.ClusterError,
    exceptions.TryAgainError,
    exceptions.SlotNotCoveredError,
    OSError,
)
# These have no class of their own.
_REFUSES_WRITES: Final = ("MISCONF", "NOREPLICAS")


def guard(
    client: C,
    breaker: CircuitBreaker | None = None,
    *,
    registry: Registry = default_registry,
    **fields: object,
) -> C:
    """The same client, sync or asyncio, of a server or a cluster, whose every command passes
    `breaker`.

    A pipeline passes it once, when it is executed. Listening (`pubsub`, `monitor`) does not.

    Args:
        client: guarded in place, and returned.
        breaker: where it is left out, the registered one named `redis:` and the server's address;
            a cluster has none.
        registry: where that is registered.
        fields: any field of `Policy`, for that one.

    Raises:
        PolicyError: a field has a value it cannot have.
        ValueError: the client is guarded already, or is a cluster's and has no breaker.
    """
    if "execute_command" in vars(client):
        raise ValueError(f"{client!r} is guarded already")
    if breaker is None:
        breaker = named(f"redis:{_address(client)}", registry, fields)
    sync, asynchronous = (functools.partial(way, breaker, told) for way in (through, athrough))
    _put_behind(client, "execute_command", sync, asynchronous)
    make = client.pipeline

    def pipeline(*args: Any, **kwargs: Any) -> Any:
        made = make(*args, **kwargs)
        # Executing may load scripts by immediate commands, which a cluster's pipeline has not.
        way = Outermost(breaker, told)
        for name in ("execute", "immediate_execute_command"):
            if hasattr(made, name):
                _put_behind(made, name, way.through, way.athrough)
        return made

    _replace(client, "pipeline", pipeline)
    return client


def told(error: BaseException) -> BaseException | None:
    """What a breaker is told of an error: None where the server answered and is well."""
    if isinstance(error, exceptions.MaxConnectionsError):
        # Our own pool is full: the server was not asked.
        return NothingLearnt()
    if isinstance(error, exceptions.TimeoutError):
        return CallTimeout()
    # A cluster that cannot be reached says so with an error of its own.
    if isinstance(error, _DISTRESS) or isinstance(error.__cause__, _DISTRESS):
        return error
    if str(error).startswith(_REFUSES_WRITES):
        return error
    return None if isinstance(error, exceptions.RedisError) else NothingLearnt()


def _put_behind(owner: Any, name: str, sync: Way, asynchronous: Way) -> None:
    method = getattr(owner, name)
    way = asynchronous if inspect.iscoroutinefunction(method) else sync
    _replace(owner, name, functools.partial(way, method))


def _replace(owner: Any, name: str, method: Callable[..., Any]) -> None:
    setattr(owner, name, method)


def _address(client: Any) -> str:
    pool = getattr(client, "connection_pool", None)
    if pool is None:
        raise ValueError("a cluster has no address of its own: give its breaker, with a name")
    where: dict[str, Any] = pool.connection_kwargs
    if "path" in where:
        return str(where["path"])
    return host_name("redis", str(where.get("host", "localhost")), where.get("port"))
