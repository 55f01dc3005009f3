"""Switches for the calls of the whole process, for tests."""

from __future__ import annotations

from types import TracebackType

from breakers.calls.switches import Switches, switches
from breakers.common.validation import whole


class _Restore:
    """Restores the switches at the end of a `with` block; without a block they stay."""

    def __init__(self, before: Switches) -> None:
        self._before = before

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _set(self._before)


def set_testing(testing: bool = True, *, attempts: int | None = 1, cap: bool = False) -> _Restore:
    """Make every call of the process without pauses between its attempts.

    It takes effect at once and for the calls of all callers, decorated functions and HTTP clients.
    As a context manager it restores the earlier setting.

    Args:
        testing: False restores the normal behaviour.
        attempts: the number of attempts of every call; None keeps what is declared.
        cap: whether `attempts` is the greatest number instead.

    Raises:
        PolicyError: `attempts` is below 1.

    >>> from breakers import CallOptions, ResilientCaller
    >>> def fetch() -> None:
    ...     print("called")
    ...     raise OSError
    >>> with set_testing(attempts=2):
    ...     ResilientCaller().call(fetch, CallOptions(timeout=None, fallback=lambda: None))
    called
    called
    """
    before = _copy()
    if attempts is not None:
        whole("attempts", attempts)
    switches.no_sleep = testing
    switches.attempts = attempts if testing else None
    switches.is_cap = cap and testing
    return _Restore(before)


def is_testing() -> bool:
    """Whether pauses are skipped."""
    return switches.no_sleep


def set_active(active: bool = True) -> _Restore:
    """Switch resilience off or on for every call of the process.

    While it is off, calls go straight to the function: no cache, breaker, limit, timeout, retry or
    fallback. As a context manager it restores the earlier setting.
    """
    before = _copy()
    switches.is_off = not active
    return _Restore(before)


def is_active() -> bool:
    """Whether calls are resilient."""
    return not switches.is_off


def _copy() -> Switches:
    return Switches(switches.is_off, switches.no_sleep, switches.attempts, switches.is_cap)


def _set(to: Switches) -> None:
    switches.is_off, switches.no_sleep = to.is_off, to.no_sleep
    switches.attempts, switches.is_cap = to.attempts, to.is_cap
