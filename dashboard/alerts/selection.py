"""Which rules apply to which breakers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from dashboard.alerts.rule_kinds import KINDS, StateJudge

Key = tuple[str, str]
_NAMES_KEPT: Final = 50_000


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
        return self.matches_service(key[0]) and matches(self.breaker, key[1])

    def matches_service(self, service: str) -> bool:
        """Whether the rule's patterns match a service."""
        return matches(self.service, service) and (
            self.services is None or any(matches(each, service) for each in self.services)
        )


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
                rule.id for rule in self._rules if matches(rule.breaker, name)
            )
        found = self._shared.get((in_service, named))
        if found is None:
            if len(self._shared) >= _NAMES_KEPT:
                self._shared.clear()
            ids = in_service & named
            found = Applicable(rule for rule in self._rules if rule.id in ids)
            self._shared[in_service, named] = found
        return found


def matches(pattern: str, text: str) -> bool:
    """Whether a pattern, in which `*` stands for any characters, matches; an empty one does."""
    return not pattern or pattern == text or ("*" in pattern and fnmatchcase(text, pattern))
