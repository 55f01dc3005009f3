"""How things travel inside the dashboard: the one place that knows memory from Redis."""

from functools import cache

from django.conf import settings

from dashboard.bus.interface import Bus, Log, LogEntry, Subscription
from dashboard.bus.memory import MemoryBus
from dashboard.bus.redis.bus import RedisBus

__all__ = ["Bus", "Log", "LogEntry", "Subscription", "bus"]


@cache
def bus() -> Bus:
    """The bus of this process, as SWITCHGEAR_BUS_URL says."""
    return (
        MemoryBus()
        if settings.EMBEDDED
        else RedisBus(settings.BUS_URL, settings.LOG_CAPACITY_MB * 2**20)
    )
