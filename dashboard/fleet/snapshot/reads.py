"""The pages' first view, read from the mirror that the live sockets are fed from.

A page and the live room are both faces and may not import each other; the composition root hands
the mirror over.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from dashboard.fleet.frame_types import BreakerView


class FleetSnapshotReader(Protocol):
    """What pages ask of the mirror."""

    def snapshot(
        self, wanted: Iterable[str] | None = None, summary: bool = False
    ) -> dict[str, Any]: ...

    def breaker(self, service: str, name: str) -> BreakerView | None: ...


class _Empty:
    def snapshot(
        self, wanted: Iterable[str] | None = None, summary: bool = False
    ) -> dict[str, Any]:
        return {"type": "snapshot", "at": 0.0, "now": 0.0, "services": []}

    def breaker(self, service: str, name: str) -> BreakerView | None:
        return None


_fleet_snapshot: FleetSnapshotReader = _Empty()


def use(fleet_snapshot: FleetSnapshotReader) -> None:
    """Read from this mirror from now on."""
    global _fleet_snapshot
    _fleet_snapshot = fleet_snapshot


def snapshot(service: str | None = None) -> dict[str, Any]:
    """Everything known now, of one service or of all."""
    return _fleet_snapshot.snapshot(None if service is None else [service])


def summary_snapshot() -> dict[str, Any]:
    """Everything known now, without what each instance says."""
    return _fleet_snapshot.snapshot(summary=True)


def breaker_view(service: str, breaker: str) -> BreakerView | None:
    """The latest of one breaker."""
    return _fleet_snapshot.breaker(service, breaker)
