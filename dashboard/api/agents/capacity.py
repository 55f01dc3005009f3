"""What the gate asks of the fleet about a service that may be full."""

from typing import Protocol


class Capacity(Protocol):
    """What of a service can be watched; the process's mirror knows."""

    def has_capacity(self, service: str, instance: str) -> bool:
        """Whether there is room for an instance, or it has its place already."""

    def over_capacity(self, service: str, instance: str) -> list[str]:
        """Breakers of an instance for which there is none, the first few."""
