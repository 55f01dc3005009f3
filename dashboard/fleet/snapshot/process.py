"""The mirror of this process."""

from functools import cache

from dashboard.bus import bus
from dashboard.fleet.snapshot.store import Mirror


@cache
def mirror() -> Mirror:
    """The one mirror of this process; the composition root starts it."""
    return Mirror(bus())
