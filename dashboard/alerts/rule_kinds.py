"""The kinds of alert rules: one table for the evaluator, the forms, rules as code, and the docs.

A kind on states looks at one breaker at one moment. A kind on counts looks at whole minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from dashboard.alerts.observations import BreakerFacts, MinuteWindow

SEVERITIES: Final = ("info", "warning", "critical")
Params = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Param:
    """A number of a rule. Values outside of `low` to `high` could never or would always fire."""

    name: str
    label: str
    default: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Kind:
    """`state` returns since when the condition holds, or None. `counts` returns whether it does."""

    title: str
    help: str
    flag: str
    params: tuple[Param, ...] = ()
    for_s: float = 10.0
    state: Callable[[BreakerFacts, Params, float], float | None] | None = None
    counts: Callable[[MinuteWindow, Params], bool] | None = None
    defaults: Mapping[str, float] = field(default_factory=dict)


def _open_share(facts: BreakerFacts, params: Params, now: float) -> float | None:
    return facts.open_since(params["share_pct"] / 100, int(params["instances"]))


def _flapping(facts: BreakerFacts, params: Params, now: float) -> float | None:
    return facts.flapping_since(int(params["trips"]), params["within_s"], now)


def _half_open(facts: BreakerFacts, params: Params, now: float) -> float | None:
    return facts.since_state("half_open")


def _forced(facts: BreakerFacts, params: Params, now: float) -> float | None:
    return facts.forced_since()


def _override_ends(facts: BreakerFacts, params: Params, now: float) -> float | None:
    if facts.override_ends is None or not facts.would_be_open:
        return None
    begins = facts.override_ends - params["before_s"]
    return begins if begins <= now < facts.override_ends else None


def _silent(facts: BreakerFacts, params: Params, now: float) -> float | None:
    return facts.silent_since(int(params["instances"]))


def _disagreement(facts: BreakerFacts, params: Params, now: float) -> float | None:
    return facts.disagreement_since(params["share_pct"] / 100)


def _not_applied(facts: BreakerFacts, params: Params, now: float) -> float | None:
    return facts.unapplied_since


def _fallbacks(window: MinuteWindow, params: Params) -> bool:
    counts = window.sums(5)
    failed = counts["failure"] + counts["timeout"] + counts["rejected"]
    uncovered = failed - counts["fallback"]
    return failed >= params["calls"] and uncovered >= failed * params["share_pct"] / 100


def _retries(window: MinuteWindow, params: Params) -> bool:
    counts = window.sums(5)
    ran = window.ran(5)
    first = ran - counts["retry"]
    return ran >= params["calls"] and first > 0 and ran / first >= params["factor"]


def _burn(window: MinuteWindow, params: Params) -> bool:
    budget = 1 - params["objective_pct"] / 100
    fast = window.failed_share(60) >= 14.4 * budget and window.failed_share(5) >= 14.4 * budget
    slow = window.failed_share(360) >= 6 * budget and window.failed_share(30) >= 6 * budget
    return window.ran(60) >= params["calls"] and (fast or slow)


def _traffic_gone(window: MinuteWindow, params: Params) -> bool:
    before = window.calls(30) - window.calls(2)
    return before / 28 / 60 >= params["rate"] and window.calls(2) == 0


_CALLS = Param("calls", "Calls at least", 50, 1, 1e9)

KINDS: Final[dict[str, Kind]] = {
    "open_share": Kind(
        "Open on instances",
        "The breaker is open on at least a share, and a number, of its live instances.",
        "open",
        (
            Param("share_pct", "Share of instances, %", 25, 0, 100),
            Param("instances", "Instances at least", 1, 1, 5000),
        ),
        for_s=3.0,
        state=_open_share,
    ),
    "flapping": Kind(
        "Flapping",
        "The breaker trips repeatedly on one instance.",
        "trips",
        (
            Param("trips", "Trips at least", 4, 2, 100),
            Param("within_s", "Within seconds", 300, 10, 3600),
        ),
        for_s=0.0,
        state=_flapping,
    ),
    "half_open_stuck": Kind(
        "Stuck half-open",
        "The breaker stays half-open: test calls neither close nor reopen it.",
        "half_open",
        for_s=120.0,
        state=_half_open,
    ),
    "forced_long": Kind(
        "Forced for long",
        "An operator's override is in force for longer than the time.",
        "override",
        for_s=3600.0,
        state=_forced,
    ),
    "override_ends": Kind(
        "Override about to end",
        "An override ends soon, and the breaker would still be open without it.",
        "override",
        (Param("before_s", "Seconds before the end", 300, 10, 86_400),),
        for_s=0.0,
        state=_override_ends,
    ),
    "silent": Kind(
        "Instances silent",
        "Instances of the service have stopped reporting.",
        "stale",
        (Param("instances", "Instances at least", 1, 1, 5000),),
        for_s=60.0,
        state=_silent,
    ),
    "disagreement": Kind(
        "Instances disagree",
        "The breaker is open on some instances and closed on others.",
        "open",
        (Param("share_pct", "Share of the smaller side, %", 20, 1, 50),),
        for_s=60.0,
        state=_disagreement,
    ),
    "not_applied": Kind(
        "Override not applied",
        "Instances have not confirmed an override or refuse it.",
        "override",
        for_s=60.0,
        state=_not_applied,
    ),
    "fallbacks_failing": Kind(
        "Failures without a fallback",
        "Calls fail or are refused, and no fallback answers instead (five minutes).",
        "counts",
        (_CALLS, Param("share_pct", "Share without a fallback, %", 50, 1, 100)),
        for_s=0.0,
        counts=_fallbacks,
    ),
    "retry_amplification": Kind(
        "Retry amplification",
        "Retries multiply the calls that reach the dependency (five minutes).",
        "counts",
        (_CALLS, Param("factor", "Calls for each first attempt", 1.5, 1.01, 100)),
        for_s=0.0,
        counts=_retries,
    ),
    "burn_rate": Kind(
        "Error budget burning",
        "The error budget of 30 days burns 14.4 times too fast over an hour and five minutes, or 6 "
        "times too fast over six hours and half an hour.",
        "counts",
        (_CALLS, Param("objective_pct", "Objective, %", 99.0, 50, 99.999)),
        for_s=0.0,
        counts=_burn,
    ),
    "traffic_gone": Kind(
        "Traffic gone",
        "No calls for two minutes after at least this rate over half an hour.",
        "counts",
        (Param("rate", "Calls a second before", 1.0, 0.01, 1e6),),
        for_s=0.0,
        counts=_traffic_gone,
    ),
}

# Rules that exist from the first migration on.
DEFAULT_RULES: Final[tuple[tuple[str, str, str, dict[str, float]], ...]] = (
    ("Open", "open_share", "critical", {}),
    ("Flapping", "flapping", "warning", {}),
    ("Stuck half-open", "half_open_stuck", "warning", {}),
    ("Forced for an hour", "forced_long", "info", {}),
    ("Override about to end", "override_ends", "warning", {}),
    ("Instances silent", "silent", "warning", {}),
    ("Instances disagree", "disagreement", "warning", {}),
    ("Override not applied", "not_applied", "warning", {}),
    ("Failures without a fallback", "fallbacks_failing", "critical", {}),
    ("Retry amplification", "retry_amplification", "warning", {}),
    ("Error budget burning", "burn_rate", "critical", {}),
    ("Traffic gone", "traffic_gone", "info", {}),
)


def params_of(kind: str, given: Mapping[str, Any]) -> dict[str, float]:
    """All parameters of a kind, with defaults where none are given.

    Raises:
        ValueError: a mapping of field to message, as its only argument.
    """
    wrong: dict[str, str] = {}
    if kind not in KINDS:
        raise ValueError({"kind": f"{kind!r} is not a kind; use one of {', '.join(KINDS)}."})
    known = {param.name: param for param in KINDS[kind].params}
    for name in given.keys() - known.keys():
        wrong[name] = f"{kind} has no parameter {name!r}; it has {', '.join(known) or 'none'}."
    values = {}
    for name, param in known.items():
        value = given.get(name, param.default)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            wrong[name] = f"{value!r} is not a number."
        elif not param.low <= value <= param.high:
            wrong[name] = (
                f"{value:g} could never fire, or would always; use {param.low:g} to {param.high:g}."
            )
        else:
            values[name] = float(value)
    if wrong:
        raise ValueError(wrong)
    return values
