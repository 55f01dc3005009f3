"""What a connection to the dashboard looks like to the agent, whatever carries it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from types import MappingProxyType
from typing import Final, Protocol

from breakers.protocol import messages as wire

# Causes that a person has to remove, and what to look at.
ADVICE: Final = MappingProxyType(
    {
        "unauthenticated": "the dashboard does not know the token, or it has expired; check "
        "SWITCHGEAR_TOKEN",
        "forbidden": "the token belongs to another service, or to other instances; check "
        "SWITCHGEAR_SERVICE, SWITCHGEAR_INSTANCE and SWITCHGEAR_TOKEN",
        "unknown_version": "the dashboard does not know this version of the protocol; upgrade it, "
        "or check SWITCHGEAR_URL",
        "denied": "something in front of the dashboard refused it, not the dashboard; check the "
        "proxy and SWITCHGEAR_URL",
        "wrong_path": "there is no agents' API at this address; check the path of SWITCHGEAR_URL",
        "wrong_host": "the host's name has no address; check SWITCHGEAR_URL",
        "certificate": "the certificate is not trusted; check SWITCHGEAR_URL, or give ssl_context",
    }
)


class LinkLost(Exception):
    """The connection is gone or was never made. Internal: it never reaches the service.

    `code` is the code of the dashboard's refusal (as in `wire.Refused`), or one of `ADVICE`; else
    `network`, or `no_websocket` where something in between lets no WebSocket through.
    """

    def __init__(self, reason: str, code: str = "network", retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.code = code
        self.retry_after_s = retry_after_s


def cause_of(error: Exception) -> str:
    """The code of a failure to connect."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "certificate"
    return "wrong_host" if isinstance(error, socket.gaierror) else "network"


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
