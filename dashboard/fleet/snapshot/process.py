"""Process-wide singleton of the fleet snapshot."""

from __future__ import annotations

from dashboard.bus import bus
from dashboard.fleet.snapshot.store import FleetSnapshot

_snapshot: FleetSnapshot | None = None


def fleet_snapshot() -> FleetSnapshot:
    """The snapshot of this process; the composition root starts it."""
    global _snapshot
    if _snapshot is None:
        _snapshot = FleetSnapshot(bus())
    return _snapshot


def replace(snapshot: FleetSnapshot | None) -> FleetSnapshot | None:
    """Read from another snapshot from now on, as tests do; returns the one before."""
    global _snapshot
    before, _snapshot = _snapshot, snapshot
    return before
