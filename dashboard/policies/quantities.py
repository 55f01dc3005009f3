"""Values of policy fields as people type and read them: `250 ms`, `50 %`, `12 calls/s`.

Parsing and formatting are each other's inverse for every value that a field can hold.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

from breakers.circuit.policy import FieldSpec
from breakers.errors import PolicyError

OFF: Final = "off"
# Seconds in each unit of time; the first name of a unit is the one that is shown.
_TIMES: Final = {
    "ms": 0.001,
    "s": 1.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86_400.0,
    "us": 1e-6,
    "µs": 1e-6,
    "sec": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "m": 60.0,
    "minutes": 60.0,
    "minute": 60.0,
    "hour": 3600.0,
    "hours": 3600.0,
    "day": 86_400.0,
    "days": 86_400.0,
}
_SHOWN_TIMES: Final = (("d", 86_400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0))
_RATES: Final = {"calls/s": 1.0, "/s": 1.0, "calls/min": 1 / 60, "/min": 1 / 60}
# Only the digits 0 to 9: `float` and `int` would take those of every script.
_NUMBER: Final = re.compile(
    r"\s*([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*([^0-9\s].*?)?\s*", re.S
)
_LONGEST: Final = 60


def is_share(spec: FieldSpec) -> bool:
    """Whether a field holds a share, which is typed in percent."""
    return spec.kind is float and not spec.unit and spec.maximum <= 1.0


def parse(spec: FieldSpec, text: str) -> int | float | str | None:
    """The value that a text stands for; None where it says `off`.

    Raises:
        PolicyError: naming what was typed and what would be right.

    >>> from breakers.circuit.policy import FIELDS
    >>> parse(FIELDS["timeout"], "250 ms"), parse(FIELDS["failure_rate_threshold"], "50 %")
    (0.25, 0.5)
    """
    typed = text.strip()
    shown = typed if len(typed) <= _LONGEST else typed[:_LONGEST] + "…"
    if typed.casefold() == OFF:
        if spec.nullable:
            return None
        raise PolicyError(spec.name, shown, wanted(spec))
    if spec.choices:
        return spec.check(typed)
    match = _NUMBER.fullmatch(typed) if len(typed) <= _LONGEST else None
    factor = _factor(spec, match[2] or "") if match else None
    if match is None or factor is None:
        raise PolicyError(spec.name, shown, wanted(spec))
    divisor, multiplier = factor
    value = float(match[1]) * multiplier / divisor
    if not math.isfinite(value):
        raise PolicyError(spec.name, shown, wanted(spec))
    try:
        return spec.check(value)
    except PolicyError:
        raise PolicyError(spec.name, shown, wanted(spec)) from None


def _factor(spec: FieldSpec, unit: str) -> tuple[float, float] | None:
    """Divisor and multiplier of a unit; None where the field does not have it."""
    if spec.unit == "s":
        if not unit:
            return 1.0, 1.0
        seconds = _TIMES.get(unit) or _TIMES.get(unit.casefold())
        if seconds is None:
            return None
        # Dividing by 1000 is exact where multiplying by 0.001 is not.
        return (1 / seconds, 1.0) if seconds < 1 else (1.0, seconds)
    if spec.unit == "calls/s":
        per = _RATES.get(unit.replace(" ", "").casefold(), None if unit else 1.0)
        return None if per is None else (round(1 / per), 1.0)
    if is_share(spec):
        return {"%": (100.0, 1.0), "": (1.0, 1.0)}.get(unit)
    return None if unit else (1.0, 1.0)


def show(spec: FieldSpec, value: Any) -> str:
    """A value as it is shown, and can be typed.

    >>> from breakers.circuit.policy import FIELDS
    >>> show(FIELDS["timeout"], 0.25), show(FIELDS["timeout_duration"], 300.0)
    ('250 ms', '5 min')
    >>> show(FIELDS["timeout"], None), show(FIELDS["failure_rate_threshold"], 0.5)
    ('off', '50 %')
    """
    if value is None:
        return OFF
    if spec.choices or isinstance(value, str):
        return str(value)
    if spec.kind is int:
        return str(int(value))
    candidates = []
    if spec.unit == "s":
        if 0 < value < 1:
            candidates.append(f"{_digits(value * 1000)} ms")
        candidates += [
            f"{_digits(value / seconds)} {unit}"
            for unit, seconds in _SHOWN_TIMES
            if unit == "s" or (value and not value % seconds)
        ]
    elif is_share(spec):
        candidates.append(f"{_digits(value * 100)} %")
    elif spec.unit:
        candidates.append(f"{_digits(value)} {spec.unit}")
    for text in candidates:
        # Rounding in a unit must not change the value.
        try:
            if parse(spec, text) == value:
                return text
        except PolicyError:
            continue
    return f"{float(value)!r}" + (f" {spec.unit}" if spec.unit else "")


def _digits(value: float) -> str:
    return f"{value:.12g}"


def allowed(spec: FieldSpec) -> str:
    """The range of a field, in the units in which it is shown."""
    if spec.choices:
        text = "one of " + ", ".join(spec.choices)
    else:
        kind = "a whole number" if spec.kind is int else "a share" if is_share(spec) else "a number"
        if spec.unit == "s":
            kind = "a duration"
        text = f"{kind} from {show(spec, spec.minimum)} to {show(spec, spec.maximum)}"
    return text + (", or off" if spec.nullable else "")


def example(spec: FieldSpec) -> str:
    """A text that a field takes."""
    if spec.unit == "s":
        return "250 ms, 2 s or 5 min"
    if is_share(spec):
        return "50 %"
    return "12.5 calls/s" if spec.unit else "3"


def wanted(spec: FieldSpec) -> str:
    """What would be right at a field."""
    if spec.choices:
        return allowed(spec)
    return f"{allowed(spec)}, such as {example(spec)}"
