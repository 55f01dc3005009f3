"""Helpers for tests: a fake clock, a fake dashboard, and switches for all calls of the process.

`FakeDashboard` needs the `agent` extra.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from breakers.testing.switches import is_active, is_testing, set_active, set_testing

if TYPE_CHECKING:
    from breakers.testing.fake_dashboard import FakeDashboard

__all__ = [
    "FakeClock",
    "FakeDashboard",
    "is_active",
    "is_testing",
    "set_active",
    "set_testing",
]


class FakeClock:
    """A clock that only moves when `advance` is called. Pass it as `clock`.

    >>> clock = FakeClock()
    >>> clock.advance(30.0)
    >>> clock.monotonic()
    30.0
    """

    def __init__(self, monotonic: float = 0.0, wall: float = 1_700_000_000.0) -> None:
        self._monotonic = monotonic
        self._wall = wall

    def monotonic(self) -> float:
        return self._monotonic

    def wall(self) -> float:
        return self._wall

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass on both clocks."""
        if seconds < 0:
            raise ValueError(
                f"seconds is {seconds}; time only goes forward, use set_wall for steps"
            )
        self._monotonic += seconds
        self._wall += seconds

    def set_wall(self, wall: float) -> None:
        """Step the wall clock, as NTP or an administrator does."""
        self._wall = wall


def __getattr__(name: str) -> Any:
    """Import FakeDashboard, and with it the agent's dependencies, at first use."""
    if name == "FakeDashboard":
        return importlib.import_module("breakers.testing.fake_dashboard").FakeDashboard
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
