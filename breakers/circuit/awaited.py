"""What `CircuitBreaker.call` returns for a function that returned a coroutine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, TypeVar

R = TypeVar("R")
Call = Callable[..., Coroutine[Any, Any, Any]]


class GuardedCoroutine(Coroutine[Any, Any, Any]):
    """A coroutine that passes a breaker when it is awaited, and is judged by how it ends.

    Args:
        acall: the breaker's `acall`.
        coroutine: not started yet.
    """

    __slots__ = ("_coroutine", "_outer")

    def __init__(self, acall: Call, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        self._outer = _guarded(acall, coroutine)

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._outer.__await__()

    def send(self, value: Any) -> Any:
        """Resume the coroutine."""
        return self._outer.send(value)

    def throw(self, *error: Any) -> Any:
        """Raise an error inside the coroutine."""
        return self._outer.throw(*error)

    def close(self) -> None:
        """Close the coroutine. One that was not started passes no breaker."""
        self._outer.close()
        self._coroutine.close()


async def _guarded(acall: Call, coroutine: Coroutine[Any, Any, R]) -> R:
    try:
        return await acall(_same, coroutine)  # type: ignore[no-any-return]
    finally:
        # Where the breaker refused, it was never started.
        coroutine.close()


def _same(awaitable: Awaitable[R]) -> Awaitable[R]:
    return awaitable
