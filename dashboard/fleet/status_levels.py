"""How services are, in words for people who never heard of a circuit breaker.

Nothing of the inside leaves through here: no breaker, instance, cause, figure or person.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Protocol, TypedDict

from dashboard.fleet.dependents import Declaration

# Probes that go well for a moment do not end a disruption.
CALM_S: Final = 90.0
# Services that must agree on another before its status follows them.
QUORUM: Final = 2

_REFUSING: Final = frozenset({"open", "forced_open"})
_BAD: Final = _REFUSING | {"half_open"}

WORDS: Final = {
    "working": "Working",
    "limited": "Limited",
    "recovering": "Recovering",
    "disrupted": "Disrupted",
    "silent": "No recent information",
}
MEANINGS: Final = {
    "working": "Everything answers as it should.",
    "limited": "It works, but some of its functions are missing or simplified for now.",
    "recovering": "It was limited and is being brought back, step by step.",
    "disrupted": "It does not answer as it should. People may see errors.",
    "silent": "It has not reported for a while, so its state is unknown.",
}
_WORST_FIRST: Final = ("disrupted", "limited", "recovering", "silent", "working")
_HEADLINES: Final = {
    "disrupted": "Some services are disrupted",
    "limited": "Some services are limited",
    "recovering": "Services are recovering",
    "silent": "Some services tell us nothing at present",
    "working": "All services are working",
}


class ServiceStatus(TypedDict):
    """One service. `since` is Unix time, None where the change lies too far back."""

    name: str
    level: str
    word: str
    meaning: str
    since: float | None


class Change(Protocol):
    """A transition at one instance; `at` is Unix time."""

    service: str
    breaker: str
    instance: str
    at: float
    before: str


def headline(services: Sequence[ServiceStatus]) -> tuple[str, str]:
    """The worst level there is, and one line that says so."""
    if not services:
        return "silent", "There is nothing to show yet"
    worst = min((each["level"] for each in services), key=_WORST_FIRST.index)
    if worst != "working" and all(each["level"] == worst for each in services):
        return worst, _HEADLINES[worst].replace("Some services", "All services")
    return worst, _HEADLINES[worst]


def level(
    service: Mapping[str, Any],
    callers: Iterable[Mapping[str, Any]],
    declared: Declaration | None = None,
) -> str:
    """The level of a service. `service` is of the fleet's snapshot; `callers` are the breakers of
    other services that carry its name.

    A service's own instances decide. Of other services only its declared dependents count, and as
    many of them must refuse calls to it as is declared. Where nothing is declared, at least
    `QUORUM` services must, and at least half of those that call it. One that refuses is enough
    where the service's own breakers are in trouble too. A service that nobody has declared cannot
    change the status of another by reporting a breaker of that name.
    """
    instances = service["instances"]
    if not instances or all(each["stale"] for each in instances):
        return "silent"
    own = [_state(each) for each in service["breakers"]]
    calling: dict[str, set[str]] = {}
    for each in callers:
        if declared is not None and each["service"] not in declared.dependents:
            continue
        calling.setdefault(each["service"], set()).add(_state(each))
    refusing = sum(not states.isdisjoint(_REFUSING) for states in calling.values())
    in_trouble = not _BAD.isdisjoint(own)
    quorum = QUORUM if declared is None else declared.quorum
    agree = refusing >= quorum and (declared is not None or 2 * refusing >= len(calling))
    if agree or (refusing and in_trouble):
        return "disrupted"
    if not _REFUSING.isdisjoint(own) or "forced_partial" in own:
        return "limited"
    recovering = sum("half_open" in states for states in calling.values())
    if "half_open" in own or recovering >= quorum:
        return "recovering"
    return "working"


def _state(breaker: Mapping[str, Any]) -> str:
    """The state that counts: half-open without calls is no trouble."""
    return "closed" if breaker.get("idle_half_open") else str(breaker["state"])


def status_of(service: str, level: str, since: float | None) -> ServiceStatus:
    """A service as the page shows it."""
    return {
        "name": service,
        "level": level,
        "word": WORDS[level],
        "meaning": MEANINGS[level],
        "since": since,
    }


def order(service: ServiceStatus) -> tuple[int, str]:
    """Sorts the worst first, then by name."""
    return _WORST_FIRST.index(service["level"]), service["name"]


def calm_since(breakers: Iterable[Mapping[str, Any]]) -> float | None:
    """When a service that works came back last, as far as the fleet remembers."""
    ends = [
        each["last"]["at"]
        for each in breakers
        if each["last"] is not None and each["last"]["before"] in _BAD
    ]
    return max(ends, default=None)


def bad_since(
    breakers: Iterable[Mapping[str, Any]], changes: Iterable[Change], now: float | None = None
) -> float | None:
    """When what troubles a service now began.

    Walks back from now: `breakers` say what every instance is in, `changes` (newest first) what it
    was in before. A spell without trouble shorter than `CALM_S` belongs to the trouble.
    """
    now = time.time() if now is None else now
    seen = {
        (each["service"], each["name"], at["id"]): at
        for each in breakers
        for at in each["instances"]
    }
    bad = {key for key, at in seen.items() if at["state"] in _BAD}
    unchanged = set(bad)
    began: float | None = None
    calm_until: float | None = None if bad else now
    for change in changes:
        if calm_until is not None and calm_until - change.at >= CALM_S:
            break
        key = (change.service, change.breaker, change.instance)
        unchanged.discard(key)
        was_bad = bool(bad)
        (bad.add if change.before in _BAD else bad.discard)(key)
        if was_bad and not bad:
            began = calm_until = change.at
        elif bad:
            calm_until = None
    if bad and bad <= unchanged:
        # What changed before history began says itself since when it is as it is.
        return min(float(seen[key]["since_at"]) for key in bad)
    return None if bad else began
