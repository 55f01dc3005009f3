"""Drains the registry's breakers into slices: only what changed, or everything when asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from breakers.agent.slices import Slice, pack
from breakers.protocol import messages as wire

if TYPE_CHECKING:
    from breakers.circuit.breaker import CircuitBreaker
    from breakers.circuit.records import Drained, Snapshot, TransitionRecord
    from breakers.circuit.windows import WindowFigures


_Seen = tuple[str, str, int, bool]


class Collector:
    """Looks at each breaker once an interval. Used by the agent's thread alone."""

    def __init__(
        self, breakers: Callable[[], Iterable[CircuitBreaker]], now: Callable[[], float]
    ) -> None:
        self.breakers = breakers
        self._now = now
        self._start = now()
        self._seen: dict[str, _Seen] = {}
        self._declared: dict[str, object] = {}
        # Whether any call was counted since the start of this process.
        self.has_counted = False

    def tell_all_again(self) -> None:
        """Have the next slice name every breaker with its state and policy: for someone new."""
        self._seen.clear()
        self._declared.clear()

    def collect(self) -> Slice:
        """What happened since the last time."""
        breakers = list(self.breakers())
        reports = [report for each in breakers if (report := self._report(each)) is not None]
        if len(self._seen) > len(breakers):
            self._forget_all_but({each.name for each in breakers})
        start, self._start = self._start, self._now()
        return pack(start, self._start, reports)

    def _report(self, breaker: CircuitBreaker) -> wire.BreakerReport | None:
        name = breaker.name
        # In this order, so that the state is never older than the transitions sent with it.
        drained = breaker.drain()
        shot = breaker.snapshot()
        seen = (shot.state, shot.cause, shot.in_flight, shot.would_be_open)
        declared = breaker.declared
        is_new_policy = self._declared.get(name) is not declared
        happened = drained.counts or drained.transitions or is_new_policy
        if not happened and self._seen.get(name) == seen:
            return None
        self.has_counted = self.has_counted or bool(drained.counts)
        self._seen[name] = seen
        self._declared[name] = declared
        policy = declared.as_dict() if is_new_policy else None
        report = _breaker_report(shot, drained, policy, self._now())
        if is_new_policy and breaker.honours is not None:
            report.honours = list(breaker.honours)
        return report

    def _forget_all_but(self, names: set[str]) -> None:
        self._seen = {name: seen for name, seen in self._seen.items() if name in names}
        self._declared = {name: policy for name, policy in self._declared.items() if name in names}


def _breaker_report(
    shot: Snapshot, drained: Drained, policy: dict[str, object] | None, now: float
) -> wire.BreakerReport:
    return wire.BreakerReport(
        name=shot.name,
        state=shot.state.value,
        since_s=max(0.0, shot.since_s),
        cause=_text(shot.cause),
        counts=wire.Counts(**drained.counts),
        histogram=wire.Histogram(drained.buckets, max(0.0, drained.sum_s)),
        in_flight=shot.in_flight,
        would_be_open=shot.would_be_open,
        policy=policy,
        transitions=[_transition(each, now) for each in drained.transitions],
    )


def _transition(record: TransitionRecord, now: float) -> wire.Transition:
    return wire.Transition(
        id=record.id,
        ago_s=max(0.0, now - record.at),
        from_=record.before.value,
        to=record.after.value,
        cause=_text(record.cause),
        window=_window(record.window),
    )


def _window(figures: WindowFigures) -> wire.Window:
    calls = figures.calls
    return wire.Window(
        calls=calls,
        failures=figures.failures,
        slow=figures.slow,
        consecutive_failures=figures.consecutive_failures,
        failure_rate=figures.failures / calls if calls else 0.0,
        slow_rate=figures.slow / calls if calls else 0.0,
    )


def _text(text: str) -> str:
    return text[:500].encode("utf-8", "replace").decode()
