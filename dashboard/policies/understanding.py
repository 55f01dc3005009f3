"""Which fields of a policy connected agents do not know, so that it is seen before one is saved.

An agent refuses a policy as a whole when it does not know one of its fields. What an agent knows is
what its breakers declare; until one has reported that, nothing is said of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dashboard.fleet.snapshot.reads import snapshot
from dashboard.fleet.snapshot.store import SnapshotNotRunning
from dashboard.policies.knobs import sent

# Instances that are named for a field, in all and in a sentence.
MAX_NAMED: Final = 100
_IN_SENTENCE: Final = 5


@dataclass(frozen=True)
class NotUnderstood:
    """A field that `count` of `total` connected instances do not know. `instances` names some of
    them, and none for the whole fleet: not everybody may see every service."""

    field: str
    count: int
    total: int
    instances: tuple[str, ...] = ()

    @property
    def is_by_all(self) -> bool:
        """Whether no connected instance would apply a policy that sets it."""
        return self.count == self.total

    @property
    def message(self) -> str:
        """Who would refuse it, in a sentence."""
        if self.is_by_all:
            return (
                "No connected agent understands it: every instance "
                f"({self.total}) would refuse a policy that sets it."
            )
        named = ", ".join(self.instances[:_IN_SENTENCE])
        more = f" and {self.count - _IN_SENTENCE} more" if self.count > _IN_SENTENCE else ""
        return (
            f"{self.count} of {self.total} connected instances do not understand it and would "
            f"refuse a policy that sets it{f': {named}{more}' if named else ''}."
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "field": self.field,
            "instances": list(self.instances),
            "count": self.count,
            "total": self.total,
            "message": self.message,
        }


def not_understood(service: str, breaker: str) -> dict[str, NotUnderstood]:
    """The fields that connected instances in a scope do not know, by name."""
    without: dict[str, list[str]] = {}
    total = 0
    for id, unknown in _connected(service, breaker):
        total += 1
        for name in unknown:
            without.setdefault(name, []).append(id)
    return {
        name: NotUnderstood(name, len(ids), total, tuple(ids[:MAX_NAMED]) if service else ())
        for name, ids in without.items()
    }


def marked(fields: Mapping[str, Any], found: Mapping[str, NotUnderstood]) -> list[NotUnderstood]:
    """What of a policy is not understood."""
    return [found[name] for name in sent(fields) if name in found]


def _connected(service: str, breaker: str) -> Iterable[tuple[str, list[str]]]:
    """The instances of a scope that are heard, and the fields that each does not know."""
    try:
        shots = snapshot(service or None)["services"]
    except SnapshotNotRunning:
        return
    for shot in shots:
        has_it = {
            at["id"]
            for view in shot["breakers"]
            if view["name"] == breaker
            for at in view["instances"]
        }
        for instance in shot["instances"]:
            if not instance["stale"] and (not breaker or instance["id"] in has_it):
                yield instance["id"], instance.get("unknown", [])
