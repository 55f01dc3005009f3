"""The HTTP side of the dashboard for tests: reports and acknowledgements by POST."""

from __future__ import annotations

import gzip
import http.server
import socket
from typing import Any, Protocol

from breakers.protocol import messages as wire
from breakers.protocol.codec import CODECS, JSON, Codec
from breakers.protocol.paths import REPORTS


class Dashboard(Protocol):
    """What a connection asks of the dashboard for tests."""

    posts: int
    unpacked: int
    desired: wire.Desired

    def is_ours(self, authorization: str) -> bool: ...

    def take(self, message: wire.FromAgent) -> wire.Received | wire.Refused | None: ...


class HttpPoster(http.server.BaseHTTPRequestHandler):
    """One kept-alive HTTP connection."""

    protocol_version = "HTTP/1.1"

    def __init__(self, sock: socket.socket, address: Any, dashboard: Dashboard) -> None:
        self.dashboard = dashboard
        super().__init__(sock, address, dashboard)  # type: ignore[arg-type]  # it only keeps it

    def do_POST(self) -> None:
        dashboard = self.dashboard
        dashboard.posts += 1
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
            dashboard.unpacked += 1
        if not dashboard.is_ours(self.headers.get("Authorization", "")):
            self._answer(401, JSON, wire.Refused("unauthenticated", "no valid bearer token"))
            return
        kind = self.headers.get("Content-Type", "")
        codec = next((each for each in CODECS if each.content_type == kind), JSON)
        answer = dashboard.take(codec.from_agent(body))
        if isinstance(answer, wire.Refused):
            self._answer(400, JSON, answer)
        elif self.path != REPORTS:
            self._answer(204, codec, None)
        elif answer is None:
            self._answer(503, JSON, wire.Refused("busy", "not stored yet"))
        else:
            self._answer(200, codec, dashboard.desired, answer.seq)

    def _answer(
        self, status: int, codec: Codec, message: wire.FromServer | None, seq: int = 0
    ) -> None:
        body = b"" if message is None else codec.encode(message)
        self.send_response(status)
        self.send_header("Content-Type", codec.content_type)
        self.send_header("Content-Length", str(len(body)))
        if seq:
            self.send_header("Switchgear-Received", str(seq))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Tests need no access log."""
