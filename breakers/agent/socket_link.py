"""The WebSocket to the dashboard.

`websockets` has no timeout for sending, so the kernel gets one (SO_SNDTIMEO): with a peer that is
half dead the socket's buffer fills, and without it a send would wait for ever and block the pings
that are to notice. Compression is off unless asked for: a report is small and deflate costs more
than the rest of the agent.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import socket
import struct
import threading
from collections.abc import Sequence
from typing import Final

import msgspec
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidStatus,
    NegotiationError,
    WebSocketException,
)
from websockets.http11 import Response
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from breakers.agent.config import AgentConfig
from breakers.agent.links import LinkLost, cause_of
from breakers.protocol import messages as wire
from breakers.protocol.codec import JSON, MSGPACK, Codec
from breakers.protocol.codes import CODES, FROM_CLOSE

_CODES: Final = FROM_CLOSE | {4400: "invalid", CODES["over_budget"].close: "busy"}
_OURS: Final = frozenset({"invalid", "malformed", "too_large"})

# websockets tells of each failed handshake; the agent says so itself, once.
_quiet = logging.getLogger("breakers.agent.websockets")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False

Heard = tuple["SocketLink", wire.FromServer | LinkLost]


class SocketLink:
    """An open WebSocket. A thread of its own reads it into `heard`, which is bounded: a dashboard
    that says too much is read no faster than it is understood."""

    name = "websocket"
    window = 256

    def __init__(self, config: AgentConfig, heard: queue.Queue[Heard | None]) -> None:
        """Connect.

        Raises:
            LinkLost: there is no connection to be had, and why.
        """
        self._heard = heard
        self._codec = JSON if config.format == "json" else MSGPACK
        self._closed = False
        self._socket = _open(config, self._codec)
        self._reader = threading.Thread(
            target=self._read, name="breakers-agent-reader", daemon=True
        )
        self._reader.start()

    def send(self, message: wire.FromAgent) -> Sequence[wire.FromServer]:
        """Send; answers come through `heard`."""
        data = self._codec.encode(message)
        try:
            self._socket.send(data, text=self._codec.is_text)
        except ConnectionClosed as error:
            raise _lost(error) from None
        except (OSError, WebSocketException) as error:
            raise LinkLost(f"sending failed: {error!r}") from None
        return ()

    def close(self) -> None:
        """Say goodbye; waits for the other side a moment at most."""
        self._closed = True
        with contextlib.suppress(OSError, WebSocketException):
            self._socket.close()

    def abandon(self) -> None:
        """Close the descriptor alone: the connection belongs to the parent of this fork."""
        with contextlib.suppress(OSError):
            self._socket.socket.close()

    def _read(self) -> None:
        refusal_heard = False
        while True:
            try:
                data = self._socket.recv(decode=False)
                message = self._codec.from_server(data)
            except ConnectionClosed as error:
                lost = _lost(error)
                if lost.code in _OURS and not refusal_heard:
                    self._put(wire.Refused(code=lost.code, message=str(lost)))
                self._put(lost)
                return
            except wire.WireError as error:
                self._put(LinkLost(f"what answers is no dashboard of ours: {error}"))
                return
            except Exception as error:
                self._put(LinkLost(f"receiving failed: {error!r}"))
                return
            refusal_heard = isinstance(message, wire.Refused)
            if not self._put(message):
                return

    def _put(self, said: wire.FromServer | LinkLost) -> bool:
        while not self._closed:
            with contextlib.suppress(queue.Full):
                self._heard.put((self, said), timeout=1.0)
                return True
        return False


def _open(config: AgentConfig, codec: Codec) -> ClientConnection:
    secure = config.base.startswith("https")
    try:
        context = connect(
            config.socket_url,
            additional_headers={"Authorization": f"Bearer {config.current_token()}"},
            subprotocols=[Subprotocol(codec.subprotocol)],
            compression="deflate" if config.compress else None,
            ssl=config.ssl_context if secure else None,
            open_timeout=config.timeout_s,
            ping_interval=config.ping_s,
            ping_timeout=config.timeout_s,
            close_timeout=min(0.5, config.timeout_s),
            max_size=wire.MAX_MESSAGE_BYTES,
            logger=_quiet,
        )
        # As its context manager, but left by `close` alone: it outlives this function.
        connection = context.__enter__()
    except InvalidStatus as error:
        raise _denied(error.response) from None
    except (InvalidHandshake, NegotiationError) as error:
        raise LinkLost(f"no WebSocket is let through: {error}", "no_websocket") from None
    except TimeoutError:
        # Some proxies let the handshake hang: plain HTTP may still get through.
        raise LinkLost("the WebSocket was not answered in time", "no_websocket") from None
    except (OSError, WebSocketException, ValueError, EOFError) as error:
        raise LinkLost(f"no connection: {error}", cause_of(error)) from None
    if connection.subprotocol != codec.subprotocol:
        connection.close()
        raise LinkLost(f"the server does not speak {codec.subprotocol}", "no_websocket")
    with contextlib.suppress(OSError):
        connection.socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(config.timeout_s)
        )
    return connection


def _denied(response: Response) -> LinkLost:
    """The cause of a handshake that was answered with HTTP. Only the dashboard's own refusal says
    something about the token; anything else was said in between, and plain HTTP may get through."""
    status = response.status_code
    try:
        refused = msgspec.json.decode(response.body or b"", type=wire.Refused)
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = f"the WebSocket was answered with HTTP {status}"
        return LinkLost(text, "network" if status >= 500 else "no_websocket")
    code = "busy" if refused.code == "over_budget" else refused.code
    text = f"the dashboard answered the WebSocket with HTTP {status}: {refused.message[:200]}"
    return LinkLost(text, code)


def _timeval(seconds: float) -> bytes:
    whole = int(seconds)
    return struct.pack("ll", whole, int((seconds - whole) * 1e6))


def _lost(error: ConnectionClosed) -> LinkLost:
    frame = error.rcvd
    if frame is None:
        return LinkLost("the connection broke")
    code = _CODES.get(frame.code, "network")
    return LinkLost(f"closed by the dashboard with {frame.code} {frame.reason[:200]}", code)
