"""What the supervisor tells a process to be."""

from __future__ import annotations

import os

import msgspec

VARIABLE = "SHOP_PROCESS"
DEPENDENCIES = ("users-db", "posts", "social")
SERVICES = ("profile-api", "web")


class Assignment(msgspec.Struct, frozen=True):
    """One process of the fleet. It serves on the listening socket `fd`, which the supervisor holds
    open, so that its address outlives it. `peers` are the addresses of each kind of process.
    """

    kind: str
    name: str
    fd: int
    peers: dict[str, list[str]] = {}
    rate: float = 0.0

    def to_environment(self) -> dict[str, str]:
        """The variables that carry it to a child."""
        return {VARIABLE: msgspec.json.encode(self).decode()}

    @classmethod
    def from_environment(cls) -> Assignment:
        """The assignment of this process.

        Raises:
            KeyError: the supervisor did not start this process.
        """
        return msgspec.json.decode(os.environ[VARIABLE], type=cls)
