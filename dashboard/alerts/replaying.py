"""Evaluates rules over history, by the code that evaluates them live."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from dashboard.alerts.evaluation import Change, Evaluator
from dashboard.alerts.observations import BreakerFacts
from dashboard.alerts.selection import ActiveRule, Key

Facts = BreakerFacts | None | Callable[[], BreakerFacts | None]


def replay(
    rules: Iterable[ActiveRule],
    changes: Iterable[tuple[float, Key, Facts]],
    minutes: Iterable[tuple[float, Mapping[Key, Mapping[str, int]]]],
    until: float,
    tick_s: float,
    emit: Callable[[Change], None],
) -> None:
    """Evaluate rules over history: changes of facts and minutes of counts, each in order of time.
    Facts may be functions that make them, which are called in the order of time.

    Ticks without a change matter only while a rule could hold, and are skipped otherwise.
    """
    evaluator = Evaluator(rules)
    pending: list[tuple[float, int, Callable[[], list[Change]]]] = [
        *((at, 0, partial(_observed, evaluator, key, facts)) for at, key, facts in changes),
        *((at, 1, partial(evaluator.minute, at, counts)) for at, counts in minutes),
    ]
    pending.sort(key=lambda each: each[:2])
    index, now = 0, pending[0][0] // tick_s * tick_s if pending else until
    while now <= until:
        while index < len(pending) and pending[index][0] <= now:
            for change in pending[index][2]():
                emit(change)
            index += 1
        for change in evaluator.tick(now):
            emit(change)
        now += tick_s
        if evaluator.is_quiet and index < len(pending):
            now = max(now, -(-pending[index][0] // tick_s) * tick_s)
        elif evaluator.is_quiet:
            return


def _observed(evaluator: Evaluator, key: Key, facts: Facts) -> list[Change]:
    evaluator.observe(key, facts() if callable(facts) else facts)
    return []
