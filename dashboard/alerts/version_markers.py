"""Markers of versions that instances report for the first time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from dashboard.alerts.models import Marker
from dashboard.fleet.frame_types import InstanceView

_KEPT: Final = 100
# For each service: the versions before, and those that are new.
NewVersions = Mapping[str, tuple[frozenset[str], frozenset[str]]]


class VersionsSeen:
    """The versions of each service so far."""

    def __init__(self) -> None:
        self._versions: dict[str, frozenset[str]] = {}

    def new(self, services: Iterable[tuple[str, Iterable[InstanceView]]]) -> NewVersions:
        """Services whose instances report a version that was not there before."""
        found = {}
        for name, instances in services:
            versions = frozenset(
                each["version"] for each in instances if each["version"] and not each["stale"]
            )
            before = self._versions.get(name)
            if before is not None and versions - before:
                found[name] = (before, versions - before)
            self._versions[name] = (before or frozenset()) | versions
            if len(self._versions[name]) > _KEPT:
                self._versions[name] = versions
        return found


def mark(versions: NewVersions, now: float) -> None:
    """Store a marker for each new version, once an hour at most."""
    for service, (before, new) in versions.items():
        for version in sorted(new):
            was = f", after {', '.join(sorted(before))}" if before else ""
            Marker.objects.get_or_create(
                key=f"version:{service}:{version}:{int(now // 3600)}"[:200],
                defaults={
                    "at": now, "kind": "version", "service": service, "version": version,
                    "text": f"{service} reports version {version}{was}"[:300],
                },
            )  # fmt: skip
