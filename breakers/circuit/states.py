"""The states of a breaker and the table of legal changes between the automatic ones.

An operator's override lies on top of the automatic state; it is not part of this table.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class State(StrEnum):
    """A breaker's state. The last four are an operator's overrides.

    >>> State("half_open") is State.HALF_OPEN
    True
    """

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    FORCED_OPEN = "forced_open"
    FORCED_CLOSED = "forced_closed"
    METRICS_ONLY = "metrics_only"
    FORCED_PARTIAL = "forced_partial"


OVERRIDES: Final = frozenset(
    {State.FORCED_OPEN, State.FORCED_CLOSED, State.METRICS_ONLY, State.FORCED_PARTIAL}
)

# From each automatic state, the ones it may change to by itself. Two acts of an operator stand
# outside the table: a reset closes from anywhere, lifting forced_open goes to half_open.
LEGAL: Final[dict[State, frozenset[State]]] = {
    State.CLOSED: frozenset({State.OPEN}),
    State.OPEN: frozenset({State.HALF_OPEN}),
    State.HALF_OPEN: frozenset({State.CLOSED, State.OPEN}),
}


def check_transition(before: State, after: State) -> None:
    """Raise `ValueError` unless the automatic state may change from `before` to `after`.

    >>> check_transition(State.CLOSED, State.OPEN)
    """
    if after not in LEGAL[before]:
        raise ValueError(f"a breaker cannot go from {before} to {after}")


def as_override(state: State | str) -> State:
    """The override named `state`; `ValueError` for automatic and unknown states.

    >>> as_override("forced_open")
    <State.FORCED_OPEN: 'forced_open'>
    """
    if state in OVERRIDES:
        return State(state)
    known = ", ".join(sorted(OVERRIDES))
    raise ValueError(f"{str(state)[:40]!r} is no override; there are {known}")
