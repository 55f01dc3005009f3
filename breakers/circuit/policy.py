"""Every knob of a call and its breaker: one table of fields, one frozen record.

The table is what validates a policy in code and in the dashboard's forms alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

from breakers.errors import PolicyError

WINDOW_TYPES: Final = ("count", "time")


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """What a field may hold. `minimum` and `maximum` are inclusive; `kind` is its Python type."""

    name: str
    kind: type[int] | type[float] | type[str]
    default: int | float | str | None
    help: str
    level: Literal["call", "breaker", "fleet"]
    minimum: float = 0.0
    maximum: float = math.inf
    unit: str = ""
    nullable: bool = False
    choices: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        """The values it may hold, in words."""
        return self.range + (", or None to switch it off" if self.nullable else "")

    @property
    def range(self) -> str:
        """The values it may hold where it is not switched off, in words."""
        if self.choices:
            text = "one of " + ", ".join(self.choices)
        else:
            number = "a whole number" if self.kind is int else "a number"
            text = f"{number} from {self.minimum:g} to {self.maximum:g}"
        return f"{text} {self.unit}" if self.unit else text

    def check(self, value: object) -> int | float | str | None:
        """The value in its proper type, or `PolicyError`."""
        if value is None and self.nullable:
            return None
        if self.choices:
            if isinstance(value, str) and value in self.choices:
                return value
            raise PolicyError(self.name, value, self.allowed)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise PolicyError(self.name, value, self.allowed)
        if self.kind is int and value != int(value if math.isfinite(value) else 0.5):
            raise PolicyError(self.name, value, self.allowed)
        if not self.minimum <= value <= self.maximum:
            raise PolicyError(self.name, value, self.allowed)
        return self.kind(value)


_HOUR: Final = 3600.0
_DAY: Final = 86_400.0

_SPECS: Final = (
    FieldSpec("timeout", float, None, "Time one attempt may take", "call", 0.001, _HOUR, "s", True),
    FieldSpec("retries", int, 3, "Attempts in all; 1 means no retry", "call", 1, 20),
    FieldSpec(
        "retry_delay",
        float,
        0.5,
        "Backoff before the second attempt; doubles after",
        "call",
        0.0,
        300.0,
        "s",
    ),
    FieldSpec(
        "retry_delay_max", float, 60.0, "Longest pause before an attempt", "call", 0.0, _HOUR, "s"
    ),
    FieldSpec(
        "retry_jitter",
        float,
        1.0,
        "Random share taken off each pause, so that callers do not retry in step",
        "call",
        0.0,
        1.0,
    ),
    FieldSpec(
        "retry_budget",
        float,
        0.2,
        "Retries as a share of the calls, at most",
        "call",
        0.0,
        1.0,
        "",
        True,
    ),
    FieldSpec(
        "deadline",
        float,
        None,
        "Time for the whole call, attempts and pauses included",
        "call",
        0.001,
        _DAY,
        "s",
        True,
    ),
    FieldSpec(
        "bulkhead_size", int, None, "Calls at once in one process", "call", 1, 100_000, "", True
    ),
    FieldSpec(
        "rate_limit",
        float,
        None,
        "Calls a second in one process",
        "call",
        0.001,
        1_000_000.0,
        "calls/s",
        True,
    ),
    FieldSpec(
        "hedge_delay",
        float,
        None,
        "Time without an answer before the attempt is made once more beside the first",
        "call",
        0.0,
        _HOUR,
        "s",
        True,
    ),
    FieldSpec(
        "failure_threshold",
        int,
        5,
        "Consecutive failures that open the breaker",
        "breaker",
        1,
        100_000,
        "",
        True,
    ),
    FieldSpec(
        "timeout_duration",
        float,
        60.0,
        "How long it stays open before test calls run",
        "breaker",
        0.001,
        _DAY,
        "s",
    ),
    FieldSpec("success_threshold", int, 2, "Test calls that close it", "breaker", 1, 1000),
    FieldSpec("half_open_max_calls", int, 1, "Probes at once while half-open", "breaker", 1, 1000),
    FieldSpec(
        "half_open_lease",
        float,
        60.0,
        "A probe that never returns gives its permit back",
        "breaker",
        0.001,
        _DAY,
        "s",
    ),
    FieldSpec(
        "failure_rate_threshold",
        float,
        None,
        "Share of failed calls in the window that opens it",
        "breaker",
        0.001,
        1.0,
        "",
        True,
    ),
    FieldSpec(
        "slow_call_duration",
        float,
        None,
        "From when a call counts as slow",
        "breaker",
        0.001,
        _HOUR,
        "s",
        True,
    ),
    FieldSpec(
        "slow_call_rate_threshold",
        float,
        None,
        "Share of slow calls in the window that opens it",
        "breaker",
        0.001,
        1.0,
        "",
        True,
    ),
    FieldSpec(
        "window_type",
        str,
        "count",
        "Window over the last calls, or over the last seconds",
        "breaker",
        choices=WINDOW_TYPES,
    ),
    FieldSpec("window_size", int, 100, "Calls, or seconds, in the window", "breaker", 1, 10_000),
    FieldSpec(
        "minimum_calls",
        int,
        10,
        "Calls the window must hold before a rate counts",
        "breaker",
        1,
        10_000,
    ),
    FieldSpec(
        "open_backoff_factor",
        float,
        1.0,
        "The open time grows by this on each trip in a row",
        "breaker",
        1.0,
        10.0,
    ),
    FieldSpec(
        "open_duration_max",
        float,
        _HOUR,
        "The open time grows to this at most",
        "breaker",
        0.001,
        _DAY,
        "s",
    ),
    FieldSpec(
        "open_jitter",
        float,
        0.1,
        "Random share taken off the open time, so that a fleet does not probe in step",
        "breaker",
        0.0,
        0.9,
    ),
    FieldSpec(
        "throttle",
        float,
        None,
        "Adaptive throttling: refuses calls beyond this multiple of those that succeed",
        "breaker",
        1.0,
        10.0,
        "",
        True,
    ),
    FieldSpec(
        "recovery_ramp",
        float,
        None,
        "After half-open, the share let through rises over this time: 5, 10, 25, 50, 100 %",
        "breaker",
        0.001,
        _HOUR,
        "s",
        True,
    ),
)


@dataclass(frozen=True, slots=True)
class Policy:
    """A call's and its breaker's knobs. Durations are seconds, rates are shares from 0 to 1.

    Raises:
        PolicyError: at construction, naming the field, its value and what would be right.

    >>> Policy(failure_threshold=3).timeout_duration
    60.0
    >>> Policy(retries=0)
    Traceback (most recent call last):
      ...
    breakers.errors.PolicyError: retries is 0; it must be a whole number from 1 to 20
    """

    timeout: float | None = None
    retries: int = 3
    retry_delay: float = 0.5
    retry_delay_max: float = 60.0
    retry_jitter: float = 1.0
    retry_budget: float | None = 0.2
    deadline: float | None = None
    bulkhead_size: int | None = None
    rate_limit: float | None = None
    hedge_delay: float | None = None
    failure_threshold: int | None = 5
    timeout_duration: float = 60.0
    success_threshold: int = 2
    half_open_max_calls: int = 1
    half_open_lease: float = 60.0
    failure_rate_threshold: float | None = None
    slow_call_duration: float | None = None
    slow_call_rate_threshold: float | None = None
    window_type: str = "count"
    window_size: int = 100
    minimum_calls: int = 10
    open_backoff_factor: float = 1.0
    open_duration_max: float = _HOUR
    open_jitter: float = 0.1
    throttle: float | None = None
    recovery_ramp: float | None = None

    def __post_init__(self) -> None:
        for name, spec in FIELDS.items():
            object.__setattr__(self, name, spec.check(getattr(self, name)))
        if self.slow_call_rate_threshold is not None and self.slow_call_duration is None:
            raise PolicyError(
                "slow_call_duration",
                None,
                "a number of seconds, since slow_call_rate_threshold is set",
            )

    @property
    def enough_calls(self) -> int:
        """`minimum_calls`, or what a window over calls can hold if that is less."""
        if self.window_type == "count":
            return min(self.minimum_calls, self.window_size)
        return self.minimum_calls

    def replace(self, fields: Mapping[str, object]) -> Policy:
        """This policy with some fields changed; `PolicyError` for unknown or bad ones."""
        for name, value in fields.items():
            if name not in FIELDS:
                raise PolicyError(str(name)[:60], value, "left out: there is no such field")
        changed: dict[str, Any] = dict(fields)
        return replace(self, **changed) if changed else self

    def as_dict(self) -> dict[str, Any]:
        """All fields by name."""
        return asdict(self)


FIELDS: Final[Mapping[str, FieldSpec]] = {spec.name: spec for spec in _SPECS}
