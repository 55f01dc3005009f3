"""Desired and applied: what each instance is to have of a policy, and what became of it there."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from django.utils import timezone

from dashboard.fleet.services import revision
from dashboard.fleet.snapshot.reads import snapshot
from dashboard.policies import queries, rollouts
from dashboard.policies.models import PolicyVersion
from dashboard.policies.understanding import not_understood

_ANSWERED_WITHIN: Final = timedelta(seconds=15)
APPLIED, WAITING, REFUSED, SILENT = "applied", "waiting", "refused", "silent"


@dataclass(frozen=True)
class AtInstance:
    """One instance of a scope. `desired` is a version or a canary; `result` is applied, waiting,
    refused or silent; `reasons` say why it refused, by breaker."""

    id: str
    version: str = ""
    zone: str = ""
    tags: list[str] = field(default_factory=list)
    desired: str = ""
    desired_revision: int = 0
    applied_revision: int | None = None
    result: str = WAITING
    reasons: list[tuple[str, str]] = field(default_factory=list)

    @property
    def is_connected(self) -> bool:
        """Whether it is known to the fleet; one that refused may be gone."""
        return self.applied_revision is not None


@dataclass(frozen=True)
class Marked:
    """A version, and what connected agents do not understand of it."""

    version: PolicyVersion
    not_understood: list[str]


def instances(service: str, breaker: str) -> list[AtInstance]:
    """The instances of a service that have a breaker, or any, and what each has applied. Those that
    refused and are gone are listed too."""
    if not service:
        return []
    shots = snapshot(service)["services"]
    known = {each["id"]: each for shot in shots for each in shot["instances"]}
    views = [view for shot in shots for view in shot["breakers"] if view["name"] == breaker]
    has_it = {at["id"] for view in views for at in view["instances"]} if breaker else set(known)
    refusals: dict[str, list[tuple[str, str]]] = {}
    for each in queries.refusals_of(service, breaker):
        refusals.setdefault(each.instance, []).append((each.breaker, each.reason))
    running = queries.running_rollout(service, breaker) if breaker else None
    canary = set(rollouts.selected_now(running)) if running else set()
    head = queries.head(service, breaker)
    version = f"version {head.number}" if head and head.number else "no version of its own"
    wanted = revision(service)
    found = []
    for id in sorted({*(known.keys() & has_it), *refusals}):
        at: dict[str, Any] = known.get(id, {})
        found.append(
            AtInstance(
                id,
                at.get("version", ""),
                at.get("zone", ""),
                at.get("tags", []),
                "canary" if id in canary else version,
                wanted,
                at.get("revision"),
                _result(at, wanted, bool(refusals.get(id))),
                refusals.get(id, []),
            )
        )
    return found


def is_recent(service: str, breaker: str) -> bool:
    """Whether a policy was saved, or a rollout began or ended, so lately that refusals may still
    come: an instance says that it has taken a revision over before its refusal is stored."""
    times = [each.created for each in queries.versions(service, breaker, limit=1)]
    for each in queries.rollouts(service, breaker, limit=1) if breaker else ():
        times.append(each.ended or each.started)
    return any(timezone.now() - each < _ANSWERED_WITHIN for each in times)


def _result(at: dict[str, Any], wanted: int, refuses: bool) -> str:
    if refuses:
        return REFUSED
    if at["stale"]:
        return SILENT
    return APPLIED if at["revision"] >= wanted else WAITING


def versions(service: str, breaker: str) -> list[Marked]:
    """The versions of a scope, newest first."""
    unknown = not_understood(service, breaker)
    return [
        Marked(each, [name for name in each.fields if name in unknown and unknown[name].is_by_all])
        for each in queries.versions(service, breaker)
    ]
