"""Reads of the fleet's snapshot for pages and APIs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dashboard.fleet.frame_types import BreakerView
from dashboard.fleet.snapshot.process import fleet_snapshot


def snapshot(service: str | None = None) -> dict[str, Any]:
    """Everything known now, of one service or of all.

    Raises:
        SnapshotNotRunning: this process does not follow the fleet.
    """
    return fleet_snapshot().running().snapshot(None if service is None else [service])


def service_names() -> list[str]:
    """The names of the services that are known now.

    Raises:
        SnapshotNotRunning: this process does not follow the fleet.
    """
    return sorted(fleet_snapshot().running().services)


def summary_snapshot(services: Iterable[str] | None = None) -> dict[str, Any]:
    """Everything known now of some services, or of all, without the state at each instance.

    Raises:
        SnapshotNotRunning: this process does not follow the fleet.
    """
    return fleet_snapshot().running().snapshot(services, summary=True)


def breaker_view(service: str, breaker: str) -> BreakerView | None:
    """The latest view of one breaker.

    Raises:
        SnapshotNotRunning: this process does not follow the fleet.
    """
    return fleet_snapshot().running().breaker(service, breaker)
