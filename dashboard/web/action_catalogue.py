"""The acts that pages offer, and the reach of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dashboard.control.override_writes import Target


@dataclass(frozen=True)
class Act:
    """An act on breakers: its button and its effect on calls.

    `reach` is a template with `{calls}` and `{whom}`; `key` is its shortcut on the wall.
    """

    slug: str
    title: str
    state: str
    effect: str
    reach: str
    key: str
    needs_end: bool = True


ACTS: Final = {
    act.slug: act
    for act in (
        Act(
            "force-open",
            "Force open",
            "forced_open",
            "Every call is refused at once; callers answer with their fallback or an error.",
            "Stops {calls} from {whom}",
            "o",
        ),
        Act(
            "force-closed",
            "Force closed",
            "forced_closed",
            "Every call goes through, whatever fails. The breaker measures and does not trip.",
            "Lets {calls} through from {whom}",
            "c",
        ),
        Act(
            "metrics-only",
            "Metrics only",
            "metrics_only",
            "Every call goes through. The breaker says when it would have opened.",
            "Lets {calls} through from {whom}",
            "m",
        ),
        Act(
            "automatic",
            "Back to automatic",
            "automatic",
            "The override ends. From forced open the breaker lets probes pass first.",
            "Leaves {calls} from {whom} to the breaker again",
            "a",
            needs_end=False,
        ),
        Act(
            "reset",
            "Reset",
            "reset",
            "Closed for ten seconds whatever fails, then automatic with an empty window.",
            "Lets {calls} through from {whom}",
            "r",
            needs_end=False,
        ),
    )
}

# Scopes of an act, from the chosen breakers outwards.
SELECTED, INSTANCES, FLEET = "selected", "instances", "fleet"


@dataclass(frozen=True)
class Reach:
    """What an act affects: calls a second, instances, services, breakers."""

    rate: float
    instances: int
    services: int
    breakers: int
    fallbacks: int
    seen: int

    def sentence(self, act: Act) -> str:
        """Such as `Stops 312 calls/s from 14 instances of 3 services`."""
        rate = f"{self.rate:.0f}" if self.rate >= 10 or not self.rate else f"{self.rate:.1f}"
        whom = f"{_count(self.instances, 'instance')} of {_count(self.services, 'service')}"
        said = act.reach.format(calls=f"{rate} calls/s", whom=whom) + "."
        if act.slug == "force-open" and self.seen:
            said += (
                f" {_count(self.fallbacks, 'call')} needed a fallback in the last ten seconds."
                if self.fallbacks
                else " No call needed a fallback in the last ten seconds."
            )
        return said


def reach(snapshot: dict[str, Any], targets: Iterable[Target]) -> Reach:
    """The reach of an act on these targets, from the current snapshot. For an act on some
    instances the calls are prorated, because figures are kept by breaker, not by instance."""
    views = {
        (service["name"], each["name"]): each
        for service in snapshot["services"]
        for each in service["breakers"]
    }
    rate, fallbacks, seen = 0.0, 0, 0
    instances: set[tuple[str, str]] = set()
    services: set[str] = set()
    breakers = 0
    for target in targets:
        breakers += 1
        services.add(target.service)
        view = views.get((target.service, target.breaker))
        if view is None:
            continue
        seen += 1
        ids = {each["id"] for each in view["instances"]}
        meant = ids if target.instances is None else ids & set(target.instances)
        rate += view["rate"] * (len(meant) / len(ids) if ids else 0)
        fallbacks += view["counts"].get("fallback", 0)
        instances |= {(target.service, id) for id in meant}
    return Reach(rate, len(instances), len(services), breakers, fallbacks, seen)


def everywhere(snapshot: dict[str, Any], targets: Sequence[Target]) -> list[Target]:
    """The breakers of the same names in every service, the chosen ones first."""
    names = {each.breaker for each in targets}
    chosen = {(each.service, each.breaker) for each in targets}
    others = [
        Target(service["name"], each["name"])
        for service in snapshot["services"]
        for each in service["breakers"]
        if each["name"] in names and (service["name"], each["name"]) not in chosen
    ]
    return [*(Target(each.service, each.breaker) for each in targets), *others]


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
