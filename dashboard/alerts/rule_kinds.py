"""The kinds of alert rules: one table for the evaluator, the forms, rules as code, and the docs.

A kind on states looks at one breaker at one moment. A kind on counts looks at whole minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dashboard.alerts.observations import (
    COUNTS,
    HALF_OPEN,
    OPEN,
    OVERRIDE,
    POLICY,
    SPLIT,
    STALE,
    TRIPS,
    BreakerFacts,
    MinuteWindow,
)

SEVERITIES: Final = ("info", "warning", "critical")
Params = Mapping[str, float]
StateJudge = Callable[[BreakerFacts, Params, float], float | None]
CountsJudge = Callable[[MinuteWindow, Params], bool]


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
    """`state` returns since when the condition holds, or None, and is asked only if `flag` is set.
    `counts` returns whether the condition holds after a minute. `unknown` says what history lacks,
    where a rule cannot be replayed over it."""

    title: str
    help: str
    flag: int
    params: tuple[Param, ...] = ()
    for_s: float = 10.0
    state: StateJudge | None = None
    counts: CountsJudge | None = None
    unknown: str = ""


def _open_share(facts: BreakerFacts, params: Params, now: float) -> float | None:
    return facts.open_since(params["share_pct"] / 100, int(params["instances"]))


def _flapping(facts: BreakerFacts, params: Params, now: float) -> float | None:
    return facts.flapping_since(int(params["trips"]), params["within_s"], now)


def _half_open(facts: BreakerFacts, params: Params, now: float) -> float | None:
    return facts.half_open


def _forced(facts: BreakerFacts, params: Params, now: float) -> float | None:
    return facts.forced


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


def _policy_not_applied(facts: BreakerFacts, params: Params, now: float) -> float | None:
    return facts.policy_unapplied_since


def _fallbacks(window: MinuteWindow, params: Params) -> bool:
    if window.bad(5) < params["calls"]:
        return False
    failed = window.failed()
    uncovered = failed - window.fallbacks()
    return failed >= params["calls"] and uncovered >= failed * params["share_pct"] / 100


def _retries(window: MinuteWindow, params: Params) -> bool:
    ran = window.ran(5)
    if ran < params["calls"]:
        return False
    first = ran - window.retries()
    return first > 0 and ran / first >= params["factor"]


def _burn(window: MinuteWindow, params: Params) -> bool:
    if not window.bad(30) or window.ran(60) < params["calls"]:
        return False
    budget = 1 - params["objective_pct"] / 100
    fast = window.failed_share(60) >= 14.4 * budget and window.failed_share(5) >= 14.4 * budget
    slow = window.failed_share(360) >= 6 * budget and window.failed_share(30) >= 6 * budget
    return fast or slow


def _traffic_gone(window: MinuteWindow, params: Params) -> bool:
    return window.calls(2) == 0 and window.calls(30) / 28 / 60 >= params["rate"]


_CALLS = Param("calls", "Calls at least", 50, 1, 1e9)

KINDS: Final[dict[str, Kind]] = {
    "open_share": Kind(
        "Open on instances",
        "The breaker is open on at least a share, and a number, of its live instances.",
        OPEN,
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
        TRIPS,
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
        HALF_OPEN,
        for_s=120.0,
        state=_half_open,
    ),
    "forced_long": Kind(
        "Forced for long",
        "An operator's override is in force for longer than the time.",
        OVERRIDE,
        for_s=3600.0,
        state=_forced,
    ),
    "override_ends": Kind(
        "Override about to end",
        "An override ends soon, and the breaker would still be open without it.",
        OVERRIDE,
        (Param("before_s", "Seconds before the end", 300, 10, 86_400),),
        for_s=0.0,
        state=_override_ends,
        unknown="history does not say whether a forced breaker would have been open.",
    ),
    "silent": Kind(
        "Instances silent",
        "Instances of the service have stopped reporting.",
        STALE,
        (Param("instances", "Instances at least", 1, 1, 5000),),
        for_s=60.0,
        state=_silent,
        unknown="history does not say when instances were silent.",
    ),
    "disagreement": Kind(
        "Instances disagree",
        "The breaker is open on some instances and closed on others.",
        SPLIT,
        (Param("share_pct", "Share of the smaller side, %", 20, 1, 50),),
        for_s=60.0,
        state=_disagreement,
    ),
    "not_applied": Kind(
        "Override not applied",
        "Instances have not confirmed an override or refuse it.",
        OVERRIDE,
        for_s=60.0,
        state=_not_applied,
        unknown="history does not say when instances confirmed an override.",
    ),
    "policy_not_applied": Kind(
        "Policy not applied",
        "An instance refuses the policy in force, or has not confirmed it.",
        POLICY,
        for_s=60.0,
        state=_policy_not_applied,
        unknown="history does not say when instances confirmed a policy.",
    ),
    "fallbacks_failing": Kind(
        "Failures without a fallback",
        "Calls fail or are refused, and no fallback answers instead (five minutes).",
        COUNTS,
        (_CALLS, Param("share_pct", "Share without a fallback, %", 50, 1, 100)),
        for_s=0.0,
        counts=_fallbacks,
    ),
    "retry_amplification": Kind(
        "Retry amplification",
        "Retries multiply the calls that reach the dependency (five minutes).",
        COUNTS,
        (_CALLS, Param("factor", "Calls for each first attempt", 1.5, 1.01, 100)),
        for_s=0.0,
        counts=_retries,
    ),
    "burn_rate": Kind(
        "Error budget burning",
        "The error budget of 30 days burns 14.4 times too fast over an hour and five minutes, or 6 "
        "times too fast over six hours and half an hour.",
        COUNTS,
        # Below 83.4 %, even an outage of everything does not burn the budget 6 times too fast.
        (_CALLS, Param("objective_pct", "Objective, %", 99.0, 83.4, 99.999)),
        for_s=0.0,
        counts=_burn,
    ),
    "traffic_gone": Kind(
        "Traffic gone",
        "No calls for two minutes after at least this rate over half an hour.",
        COUNTS,
        (Param("rate", "Calls a second before", 1.0, 0.01, 1e6),),
        for_s=0.0,
        counts=_traffic_gone,
    ),
}

# These say that a breaker does not let calls through, or that its instances are gone. The others
# say that something is wrong with its calls or with an act, which may begin before anything trips.
OUTAGE_KINDS: Final = frozenset(
    {"open_share", "flapping", "half_open_stuck", "disagreement", "silent"}
)

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
    ("Policy not applied", "policy_not_applied", "warning", {}),
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
