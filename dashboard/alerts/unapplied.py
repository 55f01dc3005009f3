"""Breakers whose policy is not in force: an instance refuses it, or has not confirmed it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from breakers.protocol.messages import EVERY_BREAKER
from dashboard.fleet.services import revisions
from dashboard.fleet.snapshot.store import FleetSnapshot
from dashboard.policies.queries import earliest_refusals, scopes_in_force

Node = tuple[str, str]
# Breakers of one look: more would be one incident all the same.
MAX_BREAKERS: Final = 5000


class UnappliedPolicies:
    """Looks at what instances confirm, every few seconds. A service whose instances are behind is
    behind since the revision was first seen here."""

    def __init__(self, fleet: FleetSnapshot) -> None:
        self._fleet = fleet
        self._revisions: dict[str, tuple[int, float]] = {}
        self.since: dict[Node, float] = {}

    def look(self, now: float) -> set[Node]:
        """Read the present state. Returns the breakers for which it has changed."""
        found: dict[Node, float] = {}
        for (service, breaker), since in earliest_refusals(MAX_BREAKERS).items():
            every = breaker == EVERY_BREAKER
            for node in self._breakers(service) if every else [(service, breaker)]:
                found[node] = min(since, found.get(node, since))
        self._note_revisions(now)
        scopes = scopes_in_force()
        for service, since in self._behind().items():
            for node in self._governed(service, scopes):
                if len(found) < MAX_BREAKERS:
                    found[node] = min(since, found.get(node, since))
        before = self.since
        # An answer that is repeated is no new beginning.
        self.since = {node: min(at, before.get(node, at), now) for node, at in found.items()}
        return {node for node in before.keys() | found.keys()
                if before.get(node) != self.since.get(node)}  # fmt: skip

    def _note_revisions(self, now: float) -> None:
        current = revisions()
        self._revisions = {
            name: known
            if (known := self._revisions.get(name)) is not None and known[0] == revision
            else (revision, now)
            for name, revision in current.items()
        }

    def _behind(self) -> Mapping[str, float]:
        """Services with an instance that has not confirmed the desired state, and since when."""
        found = {}
        for name, service in list(self._fleet.services.items()):
            revision, since = self._revisions.get(name, (0, 0.0))
            if any(
                not each["stale"] and each["revision"] < revision
                for each in list(service.instances.values())
            ):
                found[name] = since
        return found

    def _governed(self, service: str, scopes: set[Node]) -> list[Node]:
        """The breakers of a service that a policy is set for."""
        everywhere = ("", "") in scopes or (service, "") in scopes
        return [node for node in self._breakers(service) if everywhere or node in scopes]

    def _breakers(self, service: str) -> list[Node]:
        known = self._fleet.services.get(service)
        return [] if known is None else [(service, name) for name in list(known.breakers)]
