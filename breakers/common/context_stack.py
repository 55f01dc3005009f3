"""The open `with` blocks of an object that several threads and tasks share."""

from __future__ import annotations

import sys
from typing import Any

from breakers.common.running import where


class _Block:
    """One open block: what it was entered with, from which frame, in which thread and task."""

    __slots__ = ("frame_id", "value", "where")

    def __init__(self, value: Any, frame_id: int) -> None:
        self.value, self.frame_id, self.where = value, frame_id, where()


class ContextStack:
    """Open blocks, found again whatever thread, task or context leaves them.

    A `with` statement enters and leaves from the same frame, also where a framework runs the two
    halves of a generator in different threads and copies of the context. So a block is looked for
    by that frame first, then by thread and task (an `ExitStack` leaves from another frame), then it
    is the oldest that is open.

    No context variable is involved: a finaliser may enter a block while another variable is being
    set, which CPython's cache of context variables does not survive.

    >>> class Limit:
    ...     pass
    >>> stack, limit = ContextStack(), Limit()
    >>> stack.push(limit, 42)
    >>> stack.pop(limit)
    42
    """

    __slots__ = ()

    def push(self, owner: object, value: Any, depth: int = 1) -> None:
        """Note that `owner` was entered with `value`. `depth` is how many calls lie between this
        one and the frame that holds the `with` statement."""
        _open_blocks(owner)[_Block(value, _frame_id(depth + 2))] = None

    def pop(self, owner: object, depth: int = 1) -> Any:
        """The value of the block that is left, which is forgotten.

        Raises:
            RuntimeError: no block of `owner` is open.
        """
        open_blocks = _open_blocks(owner)
        frame_id = _frame_id(depth + 2)
        while (block := _find(open_blocks, frame_id)) is not None:
            # Of two threads that leave at once, each must get a block of its own.
            if open_blocks.pop(block, block) is None:
                return block.value
        raise RuntimeError(f"left {owner!r}, which is not entered")


def _find(open_blocks: dict[_Block, None], frame_id: int) -> _Block | None:
    # A copy: other threads enter and leave meanwhile.
    blocks = list(open_blocks)
    for block in reversed(blocks):
        if block.frame_id == frame_id:
            return block
    here = where()
    for block in reversed(blocks):
        if block.where == here:
            return block
    return blocks[0] if blocks else None


def _frame_id(depth: int) -> int:
    """The identity of the frame that many calls further out; 0 where there is none."""
    try:
        return id(sys._getframe(depth))
    except ValueError:
        return 0


def _open_blocks(owner: object) -> dict[_Block, None]:
    """The open blocks of an object, in the order of entry; made with the first one."""
    blocks: dict[_Block, None] = vars(owner).setdefault("_open_blocks", {})
    return blocks
