"""What a number that a user gives may be. Each refusal names the field, the value and the range."""

from __future__ import annotations

from math import inf, isfinite
from typing import Final

from breakers.errors import PolicyError

_YEAR_S: Final = 31_536_000


def whole(name: str, value: object, minimum: int = 1, maximum: float = inf) -> int:
    """A whole number in the range.

    >>> whole("calls", 0)
    Traceback (most recent call last):
      ...
    breakers.errors.PolicyError: calls is 0; it must be a whole number from 1
    """
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        raise PolicyError(name, value, f"a whole number {_range(minimum, maximum)}")
    return value


def number(
    name: str, value: object, minimum: float = 0.0, maximum: float = inf, unit: str = ""
) -> float:
    """A number in the range, and a finite one where the range has an end.

    >>> number("max_wait", "soon", maximum=3600, unit="s")
    Traceback (most recent call last):
      ...
    breakers.errors.PolicyError: max_wait is 'soon'; it must be a number from 0 to 3600 s
    """
    fits = isinstance(value, int | float) and not isinstance(value, bool)
    if not fits or not minimum <= value <= maximum:  # type: ignore[operator]
        text = f"a number {_range(minimum, maximum)}"
        raise PolicyError(name, value, f"{text} {unit}" if unit else text)
    return float(value)  # type: ignore[arg-type]


def seconds(name: str, value: object) -> float:
    """A time above 0, of a year at most: timers know no longer ones.

    >>> seconds("timeout", -1)
    Traceback (most recent call last):
      ...
    breakers.errors.PolicyError: timeout is -1; it must be a number above 0, to 31536000 s
    """
    fits = isinstance(value, int | float) and not isinstance(value, bool)
    if not fits or not 0 < value <= _YEAR_S:  # type: ignore[operator]
        raise PolicyError(name, value, f"a number above 0, to {_YEAR_S} s")
    return float(value)  # type: ignore[arg-type]


def _range(minimum: float, maximum: float) -> str:
    return f"from {minimum:g}" + (f" to {maximum:g}" if isfinite(maximum) else "")
