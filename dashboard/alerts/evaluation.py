"""Evaluates rules over observations. The same code runs live and over history.

A condition has a beginning; a rule fires when its condition has held for `for_s` seconds, and ends
when the condition does. Work in a tick is proportional to the breakers that have changed, and to
those that a rule could hold on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import Final, NamedTuple

from dashboard.alerts.observations import (
    CALM,
    COUNTS,
    TRIPS,
    TRIPS_KEPT,
    BreakerFacts,
    MinuteWindow,
)
from dashboard.alerts.rule_kinds import KINDS, StateJudge

Key = tuple[str, str]
_NAMES_KEPT: Final = 50_000
# Kinds whose condition time alone begins or ends.
_TIMED: Final = frozenset({"override_ends", "flapping"})


@dataclass(frozen=True, slots=True)
class ActiveRule:
    """A rule as it is evaluated. `services` are patterns of a team's services; empty means all."""

    id: int
    kind: str
    params: Mapping[str, float]
    for_s: float
    service: str = ""
    breaker: str = ""
    tag: str = ""
    services: tuple[str, ...] | None = None

    def matches(self, key: Key) -> bool:
        """Whether the rule's patterns match a breaker."""
        return self.matches_service(key[0]) and _matches(self.breaker, key[1])

    def matches_service(self, service: str) -> bool:
        """Whether the rule's patterns match a service."""
        return _matches(self.service, service) and (
            self.services is None or any(_matches(each, service) for each in self.services)
        )


class Change(NamedTuple):
    """A rule fired on a breaker, or ended. `began` is when its condition began."""

    fired: bool
    rule: int
    key: Key
    began: float
    at: float


class Applicable:
    """The rules of a breaker: those on states by what they need, and those on counts."""

    __slots__ = ("_by_flags", "_states", "counts")

    def __init__(self, rules: Iterable[ActiveRule]) -> None:
        chosen = [(rule, KINDS[rule.kind]) for rule in rules]
        self._states = [(kind.flag, rule, kind.state) for rule, kind in chosen if kind.state]
        self._by_flags: dict[int, tuple[tuple[ActiveRule, StateJudge], ...]] = {}
        self.counts = tuple((rule, kind.counts) for rule, kind in chosen if kind.counts)

    def states(self, flags: int) -> tuple[tuple[ActiveRule, StateJudge], ...]:
        """The rules on states that could hold with these flags."""
        found = self._by_flags.get(flags)
        if found is None:
            found = self._by_flags[flags] = tuple(
                (rule, judge) for flag, rule, judge in self._states if flag & flags
            )
        return found


class Selection:
    """Which rules apply to a breaker. A pattern is compared with a service or a name once; breakers
    that the same rules match share the result."""

    def __init__(self, rules: Iterable[ActiveRule]) -> None:
        self._rules = tuple(rules)
        self._of_service: dict[str, frozenset[int]] = {}
        self._of_name: dict[str, frozenset[int]] = {}
        self._shared: dict[tuple[frozenset[int], frozenset[int]], Applicable] = {}

    def of(self, key: Key) -> Applicable:
        """The rules of a breaker."""
        service, name = key
        in_service = self._of_service.get(service)
        if in_service is None:
            in_service = self._of_service[service] = frozenset(
                rule.id for rule in self._rules if rule.matches_service(service)
            )
        named = self._of_name.get(name)
        if named is None:
            if len(self._of_name) >= _NAMES_KEPT:
                self._of_name.clear()
            named = self._of_name[name] = frozenset(
                rule.id for rule in self._rules if _matches(rule.breaker, name)
            )
        found = self._shared.get((in_service, named))
        if found is None:
            if len(self._shared) >= _NAMES_KEPT:
                self._shared.clear()
            ids = in_service & named
            found = Applicable(rule for rule in self._rules if rule.id in ids)
            self._shared[in_service, named] = found
        return found


class Evaluator:
    """The rules and what they have found."""

    def __init__(self, rules: Iterable[ActiveRule]) -> None:
        self._facts: dict[Key, BreakerFacts] = {}
        self._trips: dict[Key, dict[str, list[float]]] = {}
        self._interesting: set[Key] = set()
        self._windows: dict[Key, MinuteWindow] = {}
        # What fires: for each breaker, the rules with the beginnings of their conditions.
        self._firing: dict[Key, dict[int, float]] = {}
        self.set_rules(rules)

    def set_rules(self, rules: Iterable[ActiveRule]) -> None:
        """Replace the rules. Firings of rules that are gone end with the next tick."""
        self.rules = {rule.id: rule for rule in rules}
        self._selection = Selection(self.rules.values())
        self._interesting.update(self._firing)
        self._interesting.update(key for key, facts in self._facts.items() if facts.flags)

    def resume(self, firing: Mapping[tuple[int, Key], float]) -> None:
        """Replace what fires by the firings of the process before."""
        self._firing.clear()
        for (rule, key), began in firing.items():
            self._firing.setdefault(key, {})[rule] = began
        self._interesting.update(key for _, key in firing)

    def observe(self, key: Key, facts: BreakerFacts | None) -> None:
        """The facts of a breaker have changed, or it is gone."""
        if facts is None:
            self._facts.pop(key, None)
            self._trips.pop(key, None)
            self._windows.pop(key, None)
            self._interesting.add(key)
            return
        trips = self._trips.get(key)
        if facts.opened:
            if trips is None:
                self._trips[key] = {
                    id: [at] for id, at in zip(facts.open_ids, facts.opened, strict=True)
                }
            else:
                for id, at in zip(facts.open_ids, facts.opened, strict=True):
                    _note_trip(trips, id, at)
        if trips:
            if facts is CALM:
                facts = BreakerFacts({})
            facts.trips = trips
            facts.flags |= TRIPS
        self._facts[key] = facts
        if facts.flags or key in self._firing:
            self._interesting.add(key)
        else:
            self._interesting.discard(key)

    def tick(self, now: float) -> list[Change]:
        """The changes since the last tick."""
        changes: list[Change] = []
        quiet = []
        select = self._selection.of
        for key in self._interesting:
            facts = self._facts.get(key)
            flags = 0 if facts is None else facts.flags
            waits = False
            held = key in self._firing
            if facts is not None and flags:
                for rule, judge in select(key).states(flags):
                    if self._judge(rule, judge, key, facts, now, changes):
                        waits = True
            if held and key in self._firing:
                self._end_unflagged(key, flags, now, changes)
            if not waits:
                quiet.append(key)
        self._interesting.difference_update(quiet)
        return changes

    def _judge(
        self,
        rule: ActiveRule,
        judge: StateJudge,
        key: Key,
        facts: BreakerFacts,
        now: float,
        out: list[Change],
    ) -> bool:
        """Judge a rule. Returns whether time alone could change the result."""
        began = judge(_tagged(facts, rule.tag) if rule.tag else facts, rule.params, now)
        if began is None:
            self._settle(rule.id, key, None, now, out)
            return rule.kind == "override_ends"
        # A clock that steps back ends nothing that fires already.
        if now - began < rule.for_s and rule.id not in self._firing.get(key, ()):
            return True
        self._settle(rule.id, key, began, now, out)
        return rule.kind in _TIMED

    def _settle(
        self, rule: int, key: Key, began: float | None, now: float, out: list[Change]
    ) -> None:
        firing = self._firing.get(key)
        if began is not None:
            if firing is None:
                self._firing[key] = {rule: began}
            elif rule in firing:
                return
            else:
                firing[rule] = began
            out.append(Change(True, rule, key, began, now))
        elif firing is not None and rule in firing:
            out.append(Change(False, rule, key, firing[rule], now))
            self._stop(rule, key)

    def _end_unflagged(self, key: Key, flags: int, now: float, out: list[Change]) -> None:
        gone = key not in self._facts
        for id, began in list(self._firing[key].items()):
            rule = self.rules.get(id)
            flag = KINDS[rule.kind].flag if rule is not None else 0
            unmatched = rule is None or not rule.matches(key)
            if unmatched or gone or (flag != COUNTS and not flag & flags):
                out.append(Change(False, id, key, began, now))
                self._stop(id, key)

    def minute(self, end: float, counts: Mapping[Key, Mapping[str, int]]) -> list[Change]:
        """The counts of the minute that ended at `end`. Breakers without calls are not in it."""
        changes: list[Change] = []
        for key in counts.keys() - self._windows.keys():
            self._windows[key] = MinuteWindow()
        idle = []
        select = self._selection.of
        for key, window in self._windows.items():
            window.append(counts.get(key))
            for rule, judge in select(key).counts:
                began = end if judge(window, rule.params) else None
                self._settle(rule.id, key, began, end, changes)
            if window.is_idle:
                idle.append(key)
        for key in idle:
            del self._windows[key]
        return changes

    @property
    def is_quiet(self) -> bool:
        """Whether no rule can change without a new observation."""
        return not self._interesting

    def _stop(self, rule: int, key: Key) -> None:
        firing = self._firing[key]
        del firing[rule]
        if not firing:
            del self._firing[key]


def _note_trip(trips: dict[str, list[float]], instance: str, at: float) -> None:
    times = trips.get(instance)
    if times is None:
        trips[instance] = [at]
    elif at > times[-1]:
        times.append(at)
        if len(times) > 2 * TRIPS_KEPT:
            del times[:-TRIPS_KEPT]


def replay(
    rules: Iterable[ActiveRule],
    changes: Iterable[tuple[float, Key, BreakerFacts | None]],
    minutes: Iterable[tuple[float, Mapping[Key, Mapping[str, int]]]],
    until: float,
    tick_s: float,
    emit: Callable[[Change], None],
) -> None:
    """Evaluate rules over history: changes of facts and minutes of counts, each in order of time.

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


def _observed(evaluator: Evaluator, key: Key, facts: BreakerFacts | None) -> list[Change]:
    evaluator.observe(key, facts)
    return []


def _tagged(facts: BreakerFacts, tag: str) -> BreakerFacts:
    chosen = {
        id: each
        for id, each in facts.instances.items()
        if _matches(tag, each.version) or _matches(tag, each.zone)
    }
    return BreakerFacts(
        chosen, facts.override_ends, facts.unapplied_since, facts.would_be_open,
        {id: facts.trips[id] for id in chosen.keys() & facts.trips.keys()},
    )  # fmt: skip


def _matches(pattern: str, text: str) -> bool:
    return not pattern or pattern == text or ("*" in pattern and fnmatchcase(text, pattern))
