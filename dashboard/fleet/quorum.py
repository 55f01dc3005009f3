"""Quorum trip and warm start: what one breaker's instances say about it together. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from breakers.protocol.messages import WARM_START
from dashboard.fleet.frame_types import BreakerView, OverrideInfo
from dashboard.fleet.model import BreakerModel, ServiceModel

# Whose overrides they are. No person can have this name: names of people have no spaces.
BY: Final = "quorum rule"
# Fewer instances than this are no fleet whose state could be taken over.
WARM_INSTANCES: Final = 2
_TROUBLE: Final = frozenset({"open", "half_open", "forced_open"})


@dataclass(frozen=True, slots=True)
class QuorumRule:
    """When the rest are opened: at least `share` of the instances, at least `instances`, in at
    least `zones` zones, opened by themselves within `within_s`. It lasts `hold_s` at most."""

    share: float
    instances: int = 2
    zones: int = 1
    within_s: float = 10.0
    hold_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Opened:
    """An instance that opened by itself: its zone, and when (seconds)."""

    zone: str
    at: float


@dataclass(frozen=True, slots=True)
class QuorumTrip:
    """The rest of a breaker's instances are to be opened, and why."""

    service: str
    breaker: str
    instances: tuple[str, ...]
    hold_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class QuorumEnd:
    """A quorum's override is to end, because the instances that opened have closed again."""

    service: str
    breaker: str
    override: str
    reason: str


def is_met(rule: QuorumRule, opened: Iterable[Opened], total: int, now: float) -> bool:
    """Whether instances that opened by themselves are a quorum of `total`."""
    recent = [each for each in opened if now - each.at <= rule.within_s]
    return (
        len(recent) >= max(2, rule.instances)
        and len(recent) >= rule.share * total
        and len({each.zone for each in recent}) >= rule.zones
    )


def trip_due(
    service: ServiceModel, breaker: BreakerModel, rule: QuorumRule, at: float
) -> QuorumTrip | None:
    """What the rule asks for now, where no override stands.

    Only closed instances are opened: one that is half-open is testing the dependency by itself.
    """
    live = {id: seen for id, seen in breaker.instances.items() if not (seen.stale or seen.idle)}
    opened = {
        id: Opened(service.instances[id].info.zone, seen.since_at)
        for id, seen in live.items()
        if seen.state == "open" and not seen.cause.startswith(WARM_START)
    }
    rest = tuple(sorted(id for id, seen in live.items() if seen.state == "closed"))
    if not rest or not is_met(rule, opened.values(), len(live), at):
        return None
    recent = sum(at - each.at <= rule.within_s for each in opened.values())
    reason = (
        f"quorum: {recent} of {len(live)} instances opened by themselves within {rule.within_s:g} s"
    )
    return QuorumTrip(service.name, breaker.name, rest, rule.hold_s, reason)


def has_recovered(breaker: BreakerModel, held: Sequence[str]) -> str:
    """Why a quorum's override of the instances `held` is to end; empty while it is not.

    The majority of the other instances must be closed: their test calls have succeeded.
    """
    meant = set(held)
    others = [
        seen
        for id, seen in breaker.instances.items()
        if id not in meant and not (seen.stale or seen.idle)
    ]
    closed = sum(seen.state == "closed" for seen in others)
    if not others or closed * 2 <= len(others):
        return ""
    return f"the test calls of {closed} of {len(others)} instances succeeded"


@dataclass(frozen=True, slots=True)
class WarmState:
    """`open` of the `total` other instances are open; the last of them for `open_for_s`."""

    open: int
    total: int
    open_for_s: float


def warm_state(view: BreakerView, instance: str, share: float, now: float) -> WarmState | None:
    """The state that a new instance takes over; None where it starts closed."""
    others = [each for each in view["instances"] if each["id"] != instance and not each["stale"]]
    trouble = [each for each in others if each["state"] in _TROUBLE]
    opened = [each["since_at"] for each in trouble if each["state"] != "half_open"]
    if len(trouble) < WARM_INSTANCES or len(trouble) < share * len(others) or not opened:
        return None
    return WarmState(len(trouble), len(others), max(0.0, now - max(opened)))


RuleOf = Callable[[str, str], QuorumRule | None]


def dues(
    services: Sequence[ServiceModel],
    overrides: Mapping[tuple[str, str], OverrideInfo],
    rule_of: RuleOf,
    at: float,
) -> list[QuorumTrip | QuorumEnd]:
    """What the rules ask for now. Only breakers in an outage and those that a quorum holds open are
    looked at; an override of a person is left alone."""
    found: list[QuorumTrip | QuorumEnd] = []
    for service in services:
        for name in list(service.outages.by_breaker):
            breaker = service.breakers.get(name)
            if breaker is None or (service.name, name) in overrides:
                continue
            rule = rule_of(service.name, name)
            if rule is not None and (trip := trip_due(service, breaker, rule, at)):
                found.append(trip)
    known = {service.name: service for service in services}
    for (service_name, name), standing in overrides.items():
        watched = known.get(service_name)
        breaker = watched.breakers.get(name) if watched else None
        if breaker is None or standing.by != BY:
            continue
        if why := has_recovered(breaker, standing.instances or ()):
            found.append(QuorumEnd(service_name, name, standing.id, why))
    return found
