"""Evaluates rules over observations. The same code runs live and over history.

A condition has a beginning; a rule fires when its condition has held for `for_s` seconds, and ends
when the condition does. Work in a tick is proportional to the breakers that have changed, and to
those that a rule could hold on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
from dashboard.alerts.selection import ActiveRule, Key, Selection, matches

_ROUNDING_S: Final = 1e-6
# Kinds whose condition time alone begins or ends.
_TIMED: Final = frozenset({"override_ends", "flapping"})


class Change(NamedTuple):
    """A rule fired on a breaker, or ended. `began` is when its condition began."""

    fired: bool
    rule: int
    key: Key
    began: float
    at: float


class Evaluator:
    """The rules and what they have found."""

    def __init__(self, rules: Iterable[ActiveRule]) -> None:
        self._facts: dict[Key, BreakerFacts] = {}
        self._trips: dict[Key, dict[str, list[float]]] = {}
        self._interesting: set[Key] = set()
        self._windows: dict[Key, MinuteWindow] = {}
        # What fires: for each breaker, the rules with the beginnings of their conditions.
        self._firing: dict[Key, dict[int, float]] = {}
        # Conditions that hold and have not held for long enough: since when, and from when on a
        # rule fires, on the steady clock. A step of the wall clock changes nothing here.
        self._waiting: dict[Key, dict[int, tuple[float, float]]] = {}
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
            self._waiting.pop(key, None)
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

    def tick(self, now: float, steady: float | None = None) -> list[Change]:
        """The changes since the last tick. `steady` is a clock that never steps; `now` if none."""
        self._steady = now if steady is None else steady
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
                self._waiting.pop(key, None)
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
        if rule.id not in self._firing.get(key, ()) and not self._has_held(rule, key, began, now):
            return True
        self._settle(rule.id, key, began, now, out)
        return rule.kind in _TIMED

    def _has_held(self, rule: ActiveRule, key: Key, began: float, now: float) -> bool:
        """Whether a condition has held for long enough. The wall clock counts at first sight, the
        steady clock from then on."""
        waiting = self._waiting.get(key)
        known = waiting.get(rule.id) if waiting is not None else None
        if known is not None and known[0] == began:
            return self._steady >= known[1] - _ROUNDING_S
        left = rule.for_s - max(0.0, now - began)
        if left <= _ROUNDING_S:
            return True
        self._waiting.setdefault(key, {})[rule.id] = (began, self._steady + left)
        return False

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

    def refill(self, minutes: Iterable[tuple[float, Mapping[Key, Mapping[str, int]]]]) -> None:
        """Replace what is known of the last hours, and judge nothing: these minutes were judged
        before, or nobody evaluated while they passed."""
        self._windows.clear()
        for _, counts in minutes:
            for key in counts.keys() - self._windows.keys():
                self._windows[key] = MinuteWindow()
            for key, window in self._windows.items():
                window.append(counts.get(key))

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


def _tagged(facts: BreakerFacts, tag: str) -> BreakerFacts:
    chosen = {
        id: each
        for id, each in facts.instances.items()
        if matches(tag, each.version)
        or matches(tag, each.zone)
        or any(matches(tag, own) for own in each.tags)
    }
    return BreakerFacts(
        chosen, facts.override_ends, facts.unapplied_since, facts.would_be_open,
        {id: facts.trips[id] for id in chosen.keys() & facts.trips.keys()},
        policy_unapplied_since=facts.policy_unapplied_since,
    )  # fmt: skip
