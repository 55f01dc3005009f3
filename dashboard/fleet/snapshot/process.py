"""The mirror of this process."""

from functools import cache

from dashboard.bus import bus
from dashboard.fleet.snapshot.store import FleetSnapshot


@cache
def fleet_snapshot() -> FleetSnapshot:
    """The one mirror of this process; the composition root starts it."""
    return FleetSnapshot(bus())
