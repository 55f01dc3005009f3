"""Faults that are injected to rehearse: latency, errors or corrupt results in a share of the calls.

A breaker without a fault is an ordinary object of its class and pays nothing for this. One with a
fault belongs to a variant of its class until the fault ends.
"""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from breakers.circuit.records import Fault
from breakers.common import async_library
from breakers.deadline import current_deadline
from breakers.errors import CallTimeout, InjectedFault

if TYPE_CHECKING:
    from breakers.circuit.breaker import CircuitBreaker

R = TypeVar("R")

LATENCY: Final = "latency"
ERROR: Final = "error"
CORRUPT: Final = "corrupt"
KINDS: Final = (LATENCY, ERROR, CORRUPT)


def hits(fault: Fault, breaker: CircuitBreaker) -> bool:
    """Whether this call is hit. A fault whose time is over is taken off."""
    if breaker._now() >= fault.until:
        if breaker._fault is fault:
            remove(breaker)
        return False
    return random.random() < fault.share


class Injected:
    """A function whose calls may be hit by the fault of a breaker."""

    __slots__ = ("_breaker", "_func")

    def __init__(self, func: Callable[..., Any], breaker: CircuitBreaker) -> None:
        self._func, self._breaker = func, breaker

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        fault = self._breaker._fault
        if fault is None or not hits(fault, self._breaker):
            return self._func(*args, **kwargs)
        wait, late = _wait(fault)
        time.sleep(wait)
        if late is not None:
            raise late
        if fault.kind == ERROR:
            raise InjectedFault(self._breaker.name)
        result = self._func(*args, **kwargs)
        return corrupted(result) if fault.kind == CORRUPT else result


def injected(
    func: Callable[..., Awaitable[Any]], breaker: CircuitBreaker
) -> Callable[..., Awaitable[Any]]:
    """`Injected` for a coroutine function."""

    @functools.wraps(func)
    async def called(*args: Any, **kwargs: Any) -> Any:
        fault = breaker._fault
        if fault is None or not hits(fault, breaker):
            return await func(*args, **kwargs)
        wait, late = _wait(fault)
        await async_library.sleep(wait)
        if late is not None:
            raise late
        if fault.kind == ERROR:
            raise InjectedFault(breaker.name)
        result = await func(*args, **kwargs)
        return corrupted(result) if fault.kind == CORRUPT else result

    called._injected = True  # type: ignore[attr-defined]
    return called


def _wait(fault: Fault) -> tuple[float, Exception | None]:
    """Seconds to wait, never beyond the deadline; and the error where that ends the call."""
    deadline = current_deadline()
    left = fault.latency_s if deadline is None else deadline.remaining()
    if deadline is None or fault.latency_s < left:
        return fault.latency_s, None
    return left, CallTimeout(deadline.budget)


def corrupted(result: Any) -> Any:
    """A wrong result of the same type where there is a plain one, else None.

    >>> corrupted({"id": 7, "name": "Ada"}), corrupted("Ada"), corrupted([1, 2]), corrupted(7)
    ({'id': None, 'name': None}, 'adA', [], -8)
    """
    if isinstance(result, dict):
        return dict.fromkeys(result)
    if isinstance(result, str | bytes):
        return result[::-1]
    if isinstance(result, list | tuple | set | frozenset):
        return type(result)()
    if isinstance(result, int | float):
        return -result - 1
    return None


class _Faulted:
    """Injects the fault into calls that no caller has wrapped already, inside of their timeout."""

    def call(self: Any, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if not any(isinstance(each, Injected) for each in (func, *args)):
            func = Injected(func, self)
        return super().call(func, *args, **kwargs)  # type: ignore[misc]

    async def acall(self: Any, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if not any(getattr(each, "_injected", False) for each in (func, *args)):
            func = injected(func, self)
        return await super().acall(func, *args, **kwargs)  # type: ignore[misc]


def _variant(kind: Any) -> Any:
    found = _variants.get(kind)
    if found is None:
        name = f"Faulted{kind.__name__}"
        found = _variants[kind] = type(name, (_Faulted, kind), {"_without_fault": kind})
    return found


# As many as there are subclasses of a breaker in the code of a service.
_variants: Final[dict[Any, Any]] = {}


def sending(send: Callable[[], R], breaker: CircuitBreaker | None) -> Callable[[], R]:
    """`send` of an HTTP client under the fault of a breaker. A response is never corrupted: code
    that reads it would fail in ways that no server causes."""
    is_hit = breaker is not None and breaker._fault is not None and breaker._fault.kind != CORRUPT
    return Injected(send, breaker) if breaker is not None and is_hit else send


def asending(
    send: Callable[[], Awaitable[R]], breaker: CircuitBreaker | None
) -> Callable[[], Awaitable[R]]:
    """`sending` for a coroutine function."""
    is_hit = breaker is not None and breaker._fault is not None and breaker._fault.kind != CORRUPT
    return injected(send, breaker) if breaker is not None and is_hit else send


def inject(breaker: CircuitBreaker, fault: Fault) -> None:
    """Let a fault hit calls of a breaker from now on, in the place of any before."""
    breaker._fault = fault
    breaker._altered = True
    if not isinstance(breaker, _Faulted):
        breaker.__class__ = _variant(type(breaker))


def remove(breaker: CircuitBreaker) -> None:
    """Take the fault of a breaker off, if it has one."""
    breaker._fault = None
    breaker._altered = bool(breaker._remote)
    if isinstance(breaker, _Faulted):
        breaker.__class__ = breaker._without_fault  # type: ignore[attr-defined]
