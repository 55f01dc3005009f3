"""How things travel inside the dashboard: the one place that knows memory from Redis."""

from functools import cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from dashboard.bus.memory import MemoryBus
from dashboard.bus.protocol import Bus, Record, Subscription

__all__ = ["Bus", "Record", "Subscription", "bus"]


@cache
def bus() -> Bus:
    """The bus of this process, as SWITCHGEAR_BUS_URL says."""
    if settings.BUS_URL == "memory://":
        return MemoryBus()
    raise ImproperlyConfigured(
        f"SWITCHGEAR_BUS_URL is {settings.BUS_URL!r}; it must be memory:// (Redis comes with the "
        "production shape)"
    )
