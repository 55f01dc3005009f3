"""Evaluates rules over observations. The same code runs live and over history.

A condition has a beginning; a rule fires when its condition has held for `for_s` seconds, and ends
when the condition does. Work in a tick is proportional to the breakers that have changed, and to
those that a rule could hold on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import Final, NamedTuple

from dashboard.alerts.observations import TRIPS_KEPT, BreakerFacts, MinuteWindow
from dashboard.alerts.rule_kinds import KINDS

Key = tuple[str, str]
MINUTE: Final = 60


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
        return (
            _matches(self.service, key[0])
            and _matches(self.breaker, key[1])
            and (self.services is None or any(_matches(each, key[0]) for each in self.services))
        )


class Change(NamedTuple):
    """A rule fired on a breaker, or ended. `began` is when its condition began."""

    fired: bool
    rule: int
    key: Key
    began: float
    at: float


class Evaluator:
    """The rules and what they have found. `firing` has the beginning of each firing."""

    def __init__(self, rules: Iterable[ActiveRule]) -> None:
        self._facts: dict[Key, BreakerFacts] = {}
        self._flags: dict[Key, frozenset[str]] = {}
        self._interesting: set[Key] = set()
        self._windows: dict[Key, MinuteWindow] = {}
        self._applicable: dict[Key, dict[str, list[ActiveRule]]] = {}
        self.firing: dict[tuple[int, Key], float] = {}
        self._of_key: dict[Key, set[int]] = {}
        self.set_rules(rules)

    def set_rules(self, rules: Iterable[ActiveRule]) -> None:
        """Replace the rules. Firings of rules that are gone end with the next tick."""
        self.rules = {rule.id: rule for rule in rules}
        self._applicable.clear()
        self._interesting.update(self._of_key)

    def resume(self, firing: Mapping[tuple[int, Key], float]) -> None:
        """Replace what fires by the firings of the process before."""
        self.firing.clear()
        self._of_key.clear()
        for (rule, key), began in firing.items():
            self._start(rule, key, began)
        self._interesting.update(key for _, key in firing)

    def observe(self, key: Key, facts: BreakerFacts | None) -> None:
        """The facts of a breaker have changed, or it is gone."""
        before = self._facts.get(key)
        if facts is None:
            self._facts.pop(key, None)
            self._flags.pop(key, None)
            self._windows.pop(key, None)
            self._applicable.pop(key, None)
            self._interesting.add(key)
            return
        facts.trips = before.trips if before is not None else {}
        for id, each in facts.instances.items():
            if each.state == "open":
                self._note_trip(facts, id, each.since)
        self._facts[key] = facts
        self._flags[key] = facts.flags()
        self._interesting.add(key)

    def _note_trip(self, facts: BreakerFacts, instance: str, at: float) -> None:
        times = facts.trips.get(instance)
        if times is None:
            times = facts.trips[instance] = deque(maxlen=TRIPS_KEPT)
        if not times or at > times[-1]:
            times.append(at)

    def tick(self, now: float) -> list[Change]:
        """The changes since the last tick."""
        changes: list[Change] = []
        quiet = []
        for key in self._interesting:
            flags = self._flags.get(key, _NO_FLAGS)
            facts = self._facts.get(key)
            rules = self._rules_of(key)
            holding = self._of_key.get(key)
            waits = False
            for flag in flags if facts is not None else ():
                for rule in rules.get(flag, ()):
                    waits |= self._judge_state(rule, key, facts, now, changes)
            if holding:
                self._end_unflagged(key, flags, holding, now, changes)
            if not waits:
                quiet.append(key)
        self._interesting.difference_update(quiet)
        return changes

    def _judge_state(
        self, rule: ActiveRule, key: Key, facts: BreakerFacts | None, now: float, out: list[Change]
    ) -> bool:
        """Judge a rule. Returns whether time alone could change the result."""
        state = KINDS[rule.kind].state
        assert state is not None
        assert facts is not None
        began = state(_tagged(facts, rule.tag) if rule.tag else facts, rule.params, now)
        # A clock that steps back ends nothing that fires already.
        pending = began is not None and now - began < rule.for_s
        if pending and (rule.id, key) not in self.firing:
            self._settle(rule, key, None, now, out)
            return True
        self._settle(rule, key, began, now, out)
        return rule.kind == "override_ends" or (rule.kind == "flapping" and began is not None)

    def _settle(
        self, rule: ActiveRule, key: Key, began: float | None, now: float, out: list[Change]
    ) -> None:
        known = self.firing.get((rule.id, key))
        if began is not None and known is None:
            self._start(rule.id, key, began)
            out.append(Change(True, rule.id, key, began, now))
        elif began is None and known is not None:
            self._stop(rule.id, key)
            out.append(Change(False, rule.id, key, known, now))

    def _end_unflagged(
        self, key: Key, flags: frozenset[str], holding: set[int], now: float, out: list[Change]
    ) -> None:
        gone = key not in self._facts
        for id in list(holding):
            rule = self.rules.get(id)
            flag = KINDS[rule.kind].flag if rule is not None else ""
            if rule is None or gone or (flag != "counts" and flag not in flags):
                out.append(Change(False, id, key, self.firing[id, key], now))
                self._stop(id, key)

    def minute(self, end: float, counts: Mapping[Key, Mapping[str, int]]) -> list[Change]:
        """The counts of the minute that ended at `end`. Breakers without calls are not in it."""
        changes: list[Change] = []
        for key in counts.keys() - self._windows.keys():
            self._windows[key] = MinuteWindow()
        idle = []
        for key, window in self._windows.items():
            window.append(counts.get(key))
            for rule in self._rules_of(key).get("counts", ()):
                judge = KINDS[rule.kind].counts
                assert judge is not None
                self._settle(rule, key, end if judge(window, rule.params) else None, end, changes)
            if window.is_idle:
                idle.append(key)
        for key in idle:
            del self._windows[key]
        return changes

    @property
    def is_quiet(self) -> bool:
        """Whether no rule can change without a new observation."""
        return not self._interesting

    def _rules_of(self, key: Key) -> dict[str, list[ActiveRule]]:
        found = self._applicable.get(key)
        if found is None:
            found = {}
            for rule in self.rules.values():
                if rule.matches(key):
                    found.setdefault(KINDS[rule.kind].flag, []).append(rule)
            self._applicable[key] = found
        return found

    def _start(self, rule: int, key: Key, began: float) -> None:
        self.firing[rule, key] = began
        self._of_key.setdefault(key, set()).add(rule)

    def _stop(self, rule: int, key: Key) -> None:
        del self.firing[rule, key]
        holding = self._of_key[key]
        holding.discard(rule)
        if not holding:
            del self._of_key[key]


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


_NO_FLAGS: Final[frozenset[str]] = frozenset()
