"""Finds the first cause among breakers that tripped: which one explains the others.

A pure function of what tripped, when, and who depends on what. A breaker explains another one if
calls through that other one lead, directly or through further services, to it, and if it did not
trip clearly later. Trips are observed with a delay, and some breakers of a cascade never trip.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

Node = tuple[str, str]
# Reports arrive about once a second: an order within this time is not certain.
TOLERANCE_S: Final = 2.0
_MARKER_BEFORE_S: Final = 900.0


@dataclass(frozen=True, slots=True)
class Tripped:
    """A breaker that tripped: when first, why, and on which versions and zones only, if any."""

    node: Node
    at: float
    cause: str = ""
    only_on: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """A deploy, or a change of a policy, of a service shortly before."""

    at: float
    service: str
    text: str


@dataclass(slots=True)
class Cause:
    """The first cause with the reasons, and the rest in the order of the cascade."""

    first: Tripped
    why: list[str] = field(default_factory=list)
    symptoms: list[Tripped] = field(default_factory=list)


class Graph:
    """Who depends on what. A breaker named like a service guards calls to that service, and so
    depends on every breaker of it."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._by_service: dict[str, list[Node]] = {}
        for node in nodes:
            self._by_service.setdefault(node[0], []).append(node)
        self._below: dict[Node, frozenset[Node]] = {}

    def direct(self, node: Node) -> list[Node]:
        """The breakers that a breaker's calls go through next."""
        return self._by_service.get(node[1], [])

    def below(self, node: Node) -> frozenset[Node]:
        """All breakers that a breaker depends on."""
        known = self._below.get(node)
        if known is None:
            seen: set[Node] = set()
            pending = list(self.direct(node))
            while pending:
                each = pending.pop()
                if each not in seen:
                    seen.add(each)
                    pending.extend(self.direct(each))
            known = self._below[node] = frozenset(seen - {node})
        return known

    def linked(self, some: Collection[Node], others: Collection[Node]) -> bool:
        """Whether a cascade could link two groups of breakers: through a call path, a common caller
        or a common dependency. The work grows with the sum of the groups, not the product."""
        if {each[0] for each in some} & {each[0] for each in others}:
            return True
        if {each[1] for each in some} & {each[1] for each in others}:
            return True
        return self._reach(some, others) or self._reach(others, some)

    def _reach(self, above: Iterable[Node], lower: Collection[Node]) -> bool:
        wanted = set(lower)
        return any(not wanted.isdisjoint(self.below(each)) for each in above)


def first_cause(tripped: Collection[Tripped], graph: Graph, events: Iterable[Event] = ()) -> Cause:
    """The first cause of a cascade. There must be at least one tripped breaker."""
    by_node: Mapping[Node, Tripped] = {each.node: each for each in tripped}
    earliest = min(each.at for each in tripped)
    latest = max(each.at for each in tripped)
    span = max(latest - earliest, TOLERANCE_S)
    recent = [e for e in events if earliest - _MARKER_BEFORE_S <= e.at <= earliest + TOLERANCE_S]
    scores: dict[Node, float] = {}
    explained: dict[Node, int] = {}
    for each in tripped:
        explained[each.node] = sum(
            each.node in graph.below(other.node) and other.at >= each.at - TOLERANCE_S
            for other in tripped
        )
        deeper = [
            node
            for node in graph.below(each.node)
            if node in by_node and by_node[node].at <= each.at + TOLERANCE_S
        ]
        score = 2.0 * explained[each.node] / max(len(tripped) - 1, 1)
        score += 1.5 * (1 - (each.at - earliest) / span)
        score -= 1.5 if deeper else 0.0
        score += 0.3 if _changed(each, recent) else 0.0
        scores[each.node] = score
    first = max(tripped, key=lambda each: (scores[each.node], -each.at, each.node))
    cause = Cause(first, _reasons(first, tripped, explained[first.node], earliest, graph, recent))
    cause.symptoms = sorted(
        (each for each in tripped if each is not first), key=lambda each: (each.at, each.node)
    )
    return cause


def _changed(each: Tripped, events: Iterable[Event]) -> Event | None:
    return next((e for e in events if e.service in {each.node[0], each.node[1], ""}), None)


def _reasons(
    first: Tripped,
    tripped: Collection[Tripped],
    explained: int,
    earliest: float,
    graph: Graph,
    events: Iterable[Event],
) -> list[str]:
    why = []
    if first.at <= earliest:
        why.append("tripped first")
    elif first.at <= earliest + TOLERANCE_S:
        why.append(f"tripped within {TOLERANCE_S:g} s of the first")
    if explained:
        why.append(f"{explained} of {len(tripped) - 1} other breakers depend on it")
    if len(tripped) > 1 and not any(
        each.node in graph.below(first.node) for each in tripped if each is not first
    ):
        why.append("nothing that it depends on has tripped")
    if first.only_on:
        why.append(f"open only on {first.only_on}")
    if event := _changed(first, events):
        why.append(f"{max(0, round(first.at - event.at))} s after {event.text}")
    return why
