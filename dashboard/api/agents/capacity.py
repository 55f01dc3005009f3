"""What the agents' API asks of the fleet about the capacity of a service."""

from typing import Protocol


class Capacity(Protocol):
    """The capacity of services; the fleet's snapshot of this process knows it."""

    def has_capacity(self, service: str, instance: str) -> bool:
        """Whether the service can take this instance, or has it already."""

    def over_capacity(self, service: str, instance: str) -> list[str]:
        """Breakers of an instance beyond the capacity of its service, the first few."""

    def knows(self, service: str, instance: str) -> bool:
        """Whether this instance is shown."""
