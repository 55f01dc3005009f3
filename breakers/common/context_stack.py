"""What a context has entered and not left yet, for context managers that are shared."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any


class ContextStack:
    """A stack for each thread and task. Blocks may be left in another order than the reverse.

    >>> stack, limit = ContextStack("example"), object()
    >>> stack.push(limit, 42)
    >>> stack.pop(limit)
    42
    """

    __slots__ = ("_held",)

    def __init__(self, name: str) -> None:
        self._held: ContextVar[tuple[tuple[object, Any], ...]] = ContextVar(name, default=())

    def push(self, owner: object, value: Any) -> None:
        """Note that `owner` was entered with `value`."""
        self._held.set((*self._held.get(), (owner, value)))

    def pop(self, owner: object) -> Any:
        """The value of the last time that `owner` was entered, which is forgotten.

        Raises:
            RuntimeError: it was not entered in this context.
        """
        held = self._held.get()
        for at in range(len(held) - 1, -1, -1):
            if held[at][0] is owner:
                self._held.set(held[:at] + held[at + 1 :])
                return held[at][1]
        raise RuntimeError(f"left {owner!r}, which was not entered in this context")
