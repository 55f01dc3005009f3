"""Advice from a day of traffic: values that fit what happened. Never applied by itself.

The method and its sources are in docs/policies/advice.md.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from breakers.circuit.histogram import Histogram
from dashboard.fleet.snapshot.reads import snapshot
from dashboard.history import queries as history
from dashboard.policies import queries
from dashboard.policies.knobs import KNOBS
from dashboard.policies.lint import paths_to
from dashboard.policies.quantities import show

DAY_S: Final = 86_400.0
MIN_CALLS: Final = 1000
# One success in a thousand may be cut, and half as much again is left for days unlike this one.
_KEPT: Final = 0.999
_HEADROOM: Final = 1.5
# Trips by chance: one in a hundred days.
_FALSE_TRIPS_A_DAY: Final = 0.01
_THRESHOLDS: Final = (3, 50)
_BUDGETS: Final = (0.05, 0.2)
# From twice the advised value on, the one in force is looser than needed.
_LOOSER: Final = 2.0


@dataclass(frozen=True)
class Advice:
    """A value for one field, the value in force, why, and whether that is looser than needed."""

    field: str
    value: Any
    in_force: Any
    why: str
    is_looser: bool

    @property
    def shown(self) -> str:
        """The advised value as it is typed."""
        return show(KNOBS[self.field], self.value)

    @property
    def shown_in_force(self) -> str:
        """The value in force as it is typed."""
        return show(KNOBS[self.field], self.in_force)


@dataclass(frozen=True)
class Traffic:
    """A breaker's healthy traffic: its latencies, and failures and retries by slot.

    `failing` and `retried` are shares of the calls of a slot.
    """

    latencies: Histogram
    calls: int
    failing: Sequence[float]
    retried: Sequence[float]


def breaker(service: str, name: str, now: float | None = None) -> list[Advice]:
    """The advice for one breaker; nothing before it has a day of traffic."""
    now = time.time() if now is None else now
    _, rows = history.rollups(service, name, now - 2 * DAY_S, now, now)
    if not rows or rows[0]["start"] > now - DAY_S:
        return []
    outages = [
        (each.began, each.ended or now)
        for each in history.outages(now - 2 * DAY_S, now, service=service, breaker=name)
    ]
    traffic = healthy(rows, outages)
    if traffic.calls < MIN_CALLS:
        return []
    policy = queries.effective(service, name)
    limits = [
        limit / max(1, int(policy.get("retries") or 1))
        for path in paths_to(service, name, snapshot())
        for _, caller in path[:-1][-1:]
        for limit in (caller.get("timeout"), caller.get("deadline"))
        if limit
    ]
    days = max(1.0, (now - rows[0]["start"]) / DAY_S)
    return advise(policy, traffic, min(limits, default=None), days)


def healthy(rows: Iterable[Mapping[str, Any]], outages: Sequence[tuple[float, float]]) -> Traffic:
    """The traffic outside of outages, and where nothing was refused."""
    latencies, calls = Histogram(), 0
    failing, retried = [], []
    for row in rows:
        ran = row["success"] + row["failure"] + row["timeout"]
        is_out = any(began - 60 <= row["start"] <= ended for began, ended in outages)
        if not ran or row["rejected"] or is_out:
            continue
        calls += ran
        latencies.merge(row["buckets"])
        failing.append((row["failure"] + row["timeout"]) / ran)
        retried.append(row["retry"] / max(1, ran - row["retry"]))
    return Traffic(latencies, calls, failing, retried)


def advise(
    policy: Mapping[str, Any], traffic: Traffic, caller_s: float | None = None, days: float = 1.0
) -> list[Advice]:
    """The advice for a policy. `caller_s` is what the most impatient caller leaves an attempt."""
    found = [_timeout(policy, traffic, caller_s), _threshold(policy, traffic, days)]
    return [*(each for each in found if each is not None), _budget(policy, traffic)]


def _timeout(policy: Mapping[str, Any], traffic: Traffic, caller_s: float | None) -> Advice | None:
    slow = traffic.latencies.quantile(_KEPT)
    if slow is None:
        return None
    value, why = slow * _HEADROOM, f"1.5 times the 99.9th percentile of {_time(slow)}"
    if caller_s is not None and caller_s < value:
        value, why = caller_s, f"the caller leaves {_time(caller_s)} for an attempt"
    value = min(3600.0, max(0.001, _rounded_up(value)))
    now = policy.get("timeout")
    return Advice("timeout", value, now, why, now is None or now > _LOOSER * value)


def _threshold(policy: Mapping[str, Any], traffic: Traffic, days: float) -> Advice | None:
    """The shortest run of failures that chance makes at most once in a hundred days."""
    share = min(0.5, max(1e-6, _quantile(traffic.failing, 0.99)))
    a_day = max(1.0, traffic.calls / days)
    run = math.ceil(math.log(_FALSE_TRIPS_A_DAY / a_day) / math.log(share) - 1e-9)
    value = min(_THRESHOLDS[1], max(_THRESHOLDS[0], run))
    now = policy.get("failure_threshold")
    if now is None and policy.get("failure_rate_threshold") is not None:
        return None
    why = (
        f"while healthy up to {share:.2%} of the calls fail; at {a_day:,.0f} calls a day chance "
        f"makes {value} in a row less than once in 100 days"
    )
    return Advice("failure_threshold", value, now, why, now is None or now > _LOOSER * value)


def _budget(policy: Mapping[str, Any], traffic: Traffic) -> Advice:
    seen = _quantile(traffic.retried, 0.99)
    value = min(_BUDGETS[1], max(_BUDGETS[0], math.ceil(40 * seen) / 20))
    now = policy.get("retry_budget")
    why = f"while healthy retries add up to {seen:.1%} to the calls; the budget is twice that"
    return Advice("retry_budget", value, now, why, now is None or now > _LOOSER * value)


def _quantile(values: Sequence[float], q: float) -> float:
    return sorted(values)[min(len(values) - 1, int(q * len(values)))] if values else 0.0


def _rounded_up(seconds: float) -> float:
    """Two digits, rounded up."""
    unit = 10.0 ** (math.floor(math.log10(seconds)) - 1)
    return float(f"{math.ceil(seconds / unit - 1e-9) * unit:.6g}")


def _time(seconds: float) -> str:
    return show(KNOBS["deadline"], float(f"{seconds:.3g}"))
