"""How often a rule would have fired: it is replayed over the stored history.

History has each change of state, and the counts of each minute. Which instances there are is known
of those that changed, and of those that are connected now; so are versions, zones and tags.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from dashboard.alerts.evaluation import Change
from dashboard.alerts.impact import instances_of
from dashboard.alerts.models import Rule
from dashboard.alerts.observations import COUNTED, BreakerFacts, InstanceFacts
from dashboard.alerts.queries import as_active
from dashboard.alerts.replaying import replay
from dashboard.alerts.rule_kinds import KINDS
from dashboard.alerts.selection import ActiveRule, Key
from dashboard.fleet.snapshot.reads import snapshot
from dashboard.fleet.snapshot.store import SnapshotNotRunning
from dashboard.fleet.state import FORGET_AFTER_S
from dashboard.history.models import MinuteRollup, Transition

TICK_S: Final = 5.0
# Rows of history that one preview reads.
MAX_TRANSITIONS: Final = 50_000
MAX_MINUTES: Final = 200_000
# Instances looked at over all changes: what bounds the time of a preview.
MAX_LOOKS: Final = 3_000_000

Known = Mapping[Key, Mapping[str, InstanceFacts]]
_Pending = list[tuple[float, Key, Callable[[], BreakerFacts]]]


def preview(rule: Rule, now: float | None = None, days: float = 7) -> dict[str, Any]:
    """How often a rule would have fired: `count`, the latest `firings`, and whether history was
    `cut` at what a preview reads. `unknown` says why it cannot be told, if it cannot."""
    now = time.time() if now is None else now
    unknown = KINDS[rule.kind].unknown
    fired: list[Change] = []
    cut = False
    if not unknown:
        changes, cut = replayed(rule, now - days * 86_400, now, connected())
        fired = [each for each in changes if each.fired]
    return {
        "count": len(fired),
        "days": days,
        "cut": cut,
        "unknown": unknown,
        "firings": [
            {"at": each.at, "service": each.key[0], "breaker": each.key[1]}
            for each in fired[-10:][::-1]
        ],
    }


def replayed(
    rule: Rule, since: float, now: float, known: Known | None
) -> tuple[list[Change], bool]:
    """What a rule would have found, and whether history was cut. `known` are the instances that are
    connected now, by breaker; None if that is not known."""
    active = replace(as_active(rule), id=0)
    found: list[Change] = []
    if KINDS[rule.kind].counts is not None:
        counts, cut = _counts(active, since, now)
        replay([active], (), counts, now, TICK_S, found.append)
    else:
        changes, cut = _changes(active, since, now, known)
        replay([active], changes, (), now, TICK_S, found.append)
    return found, cut


def connected() -> dict[Key, dict[str, InstanceFacts]] | None:
    """The instances of each breaker, as this process follows the fleet."""
    try:
        services = snapshot()["services"]
    except SnapshotNotRunning:
        return None
    return {
        (service["name"], view["name"]): instances_of(
            view["instances"], {each["id"]: each for each in service["instances"]}
        )
        for service in services
        for view in service["breakers"]
    }


class _Past:
    """A breaker as it was: its instances, moved on by one change after another."""

    def __init__(self, known: Mapping[str, InstanceFacts]) -> None:
        self._known = known
        self._now: dict[str, InstanceFacts] = {}

    def put(self, id: str, state: str, since: float) -> BreakerFacts:
        """An instance is in a state."""
        here = self._known.get(id)
        version, zone, tags = (here.version, here.zone, here.tags) if here else ("", "", ())
        self._now[id] = InstanceFacts(state, since, version, zone, tags=tags)
        return self._facts()

    def drop(self, id: str) -> BreakerFacts:
        """An instance is gone."""
        self._now.pop(id, None)
        return self._facts()

    def _facts(self) -> BreakerFacts:
        return BreakerFacts(dict(self._now))


def _changes(
    active: ActiveRule, since: float, now: float, known: Known | None
) -> tuple[_Pending, bool]:
    rows, cut = _transitions(active, since, now, known or {})
    begins = rows[0].at if cut else since
    pasts: dict[Key, _Past] = {}
    first: dict[tuple[Key, str], Transition] = {}
    last: dict[tuple[Key, str], Transition] = {}
    for row in rows:
        key = (row.service, row.breaker)
        first.setdefault((key, row.instance), row)
        last[key, row.instance] = row
    pending: _Pending = []

    def past(key: Key) -> _Past:
        if key not in pasts:
            pasts[key] = _Past((known or {}).get(key, {}))
        return pasts[key]

    for (key, id), row in first.items():
        # Since when it was in that state is not known: at least since the range begins.
        pending.append((begins, key, partial(past(key).put, id, row.before, begins)))
    for key, instances in (known or {}).items():
        for id, each in instances.items():
            # One that never changed is as it was; it is there since then, or since it connected.
            if (key, id) not in first and active.matches(key) and not each.stale:
                at = max(begins, each.since)
                pending.append((at, key, partial(past(key).put, id, each.state, each.since)))
    for row in rows:
        key = (row.service, row.breaker)
        pending.append((row.at, key, partial(past(key).put, row.instance, row.after, row.at)))
    for (key, id), row in last.items():
        if known is not None and id not in known.get(key, {}) and row.at + FORGET_AFTER_S < now:
            pending.append((row.at + FORGET_AFTER_S, key, partial(past(key).drop, id)))
    pending.sort(key=lambda each: each[0])
    return pending, cut


def _transitions(
    active: ActiveRule, since: float, now: float, known: Known
) -> tuple[list[Transition], bool]:
    """The latest changes that match a rule, oldest first, as many as a preview may look at."""
    rows = Transition.objects.filter(at__gte=since, at__lt=now)
    if active.service and "*" not in active.service:
        rows = rows.filter(service=active.service)
    latest = list(rows.order_by("-at", "-number", "-key")[: MAX_TRANSITIONS + 1])
    cut = len(latest) > MAX_TRANSITIONS
    matching = [
        row for row in latest[:MAX_TRANSITIONS] if active.matches((row.service, row.breaker))
    ]
    left = MAX_LOOKS
    instances = _instances(matching, known)
    for n, row in enumerate(matching):
        left -= instances[row.service, row.breaker]
        if left < 0:
            return matching[:n][::-1], True
    return matching[::-1], cut


def _instances(rows: Sequence[Transition], known: Known) -> Counter[Key]:
    changed = {(row.service, row.breaker, row.instance) for row in rows}
    counts = Counter((service, breaker) for service, breaker, _ in changed)
    for key in counts:
        counts[key] += len(known.get(key, ()))
    return counts


def _counts(
    active: ActiveRule, since: float, now: float
) -> tuple[list[tuple[float, dict[Key, dict[str, int]]]], bool]:
    rows = MinuteRollup.objects.filter(start__gte=since // 60 * 60, start__lt=now // 60 * 60)
    if active.service and "*" not in active.service:
        rows = rows.filter(service=active.service)
    newest = list(
        rows.order_by("-start").values_list("start", "service", "breaker", *COUNTED)[
            : MAX_MINUTES + 1
        ]
    )
    by_end: dict[float, dict[Key, dict[str, int]]] = {}
    for start, service, breaker, *counts in newest[:MAX_MINUTES]:
        if active.matches((service, breaker)):
            minute = by_end.setdefault(start + 60.0, {})
            minute[service, breaker] = dict(zip(COUNTED, counts, strict=True))
    if by_end:
        # The minutes after the last calls are judged too: traffic may be gone.
        end = min(by_end)
        while end <= now // 60 * 60:
            by_end.setdefault(end, {})
            end += 60
    return sorted(by_end.items()), len(newest) > MAX_MINUTES
