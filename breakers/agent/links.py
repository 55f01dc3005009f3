"""What a connection to the dashboard looks like to the agent, whatever carries it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from breakers.protocol import messages as wire


class LinkLost(Exception):
    """The connection is gone or was never made. Internal: it never reaches the service.

    `code` is the dashboard's word for a refusal (as in `wire.Refused`), else `network`; or
    `no_websocket` where something between us and the dashboard lets no WebSocket through.
    """

    def __init__(self, reason: str, code: str = "network", retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.code = code
        self.retry_after_s = retry_after_s


class Link(Protocol):
    """One connection. Not thread-safe: the agent's thread alone sends and closes.

    `window` is how many reports may be under way at once.
    """

    @property
    def name(self) -> str: ...

    @property
    def window(self) -> int: ...

    def send(self, message: wire.FromAgent) -> Sequence[wire.FromServer]:
        """Send a message; what the dashboard answered at once, if the transport does that.

        Raises:
            LinkLost: it did not go out, or no one knows whether it did.
        """
        ...

    def close(self) -> None:
        """Hang up; raises nothing and waits for nobody long."""
        ...

    def abandon(self) -> None:
        """In a child after fork: let go of the descriptor, which is the parent's, silently."""
        ...
