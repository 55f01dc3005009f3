"""Reports over plain HTTP, where no WebSocket gets through. One request at a time, kept alive."""

from __future__ import annotations

import gzip
import http.client
import ssl
import urllib.request
from base64 import b64encode
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote, urlsplit

import msgspec

from breakers.agent.config import AgentConfig
from breakers.agent.links import LinkLost, cause_of
from breakers.protocol import messages as wire
from breakers.protocol.codec import JSON, MSGPACK
from breakers.protocol.paths import ACKS, RECORDINGS, REPORTS

# Below this gzip's own frame outweighs what it saves.
_WORTH_PACKING: Final = 512
_CODES: Final = {
    400: "invalid",
    401: "unauthenticated",
    403: "forbidden",
    413: "too_large",
    429: "busy",
    503: "busy",
}


# Answers that are not the dashboard's own: its refusals have a body that says so.
_NOT_OURS: Final = {
    401: "denied",
    403: "denied",
    407: "denied",
    404: "wrong_path",
    405: "wrong_path",
}


class HttpLink:
    """Posts each report; the answer confirms it and carries the desired state.

    Proxies are those of the environment (https_proxy, http_proxy, no_proxy).
    """

    name = "http"
    window = 1

    def __init__(self, config: AgentConfig) -> None:
        self._codec = JSON if config.format == "json" else MSGPACK
        self._compress = config.compress
        self._connection, self._target, proxy_headers = _connection(config)
        self._headers = proxy_headers | {
            "Authorization": f"Bearer {config.current_token()}",
            "Content-Type": self._codec.content_type,
            "Accept": self._codec.content_type,
            "User-Agent": "switchgear-agent",
        }

    def send(self, message: wire.FromAgent) -> Sequence[wire.FromServer]:
        """Post a report or an acknowledgement; what the answer said."""
        response, body = self._post(_path(message), self._codec.encode(message))
        if response.status not in (200, 204):
            return [_refusal(response, body, message)]
        if not isinstance(message, wire.Report):
            return []
        received = response.getheader("Switchgear-Received", "")
        if not received.isdecimal():
            raise LinkLost("what answers is no dashboard of ours: Switchgear-Received is missing")
        receipt = wire.Received(message.boot, int(received[:16]))
        try:
            return [receipt, self._codec.from_server(body)] if body else [receipt]
        except wire.WireError as error:
            raise LinkLost(f"what answers is no dashboard of ours: {error}") from None

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def abandon(self) -> None:
        """Close the descriptor alone: the connection belongs to the parent of this fork."""
        self._connection.close()

    def _post(self, path: str, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        headers = self._headers
        if self._compress and len(body) >= _WORTH_PACKING:
            body = gzip.compress(body, compresslevel=1, mtime=0)
            headers = headers | {"Content-Encoding": "gzip"}
        try:
            self._connection.request("POST", self._target + path, body, headers)
            response = self._connection.getresponse()
            answer = response.read(wire.MAX_MESSAGE_BYTES + 1)
            if not response.isclosed():
                self._connection.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._connection.close()
            raise LinkLost(f"posting failed: {error!r}", cause_of(error)) from None
        return response, answer


def _path(message: wire.FromAgent) -> str:
    if isinstance(message, wire.Report):
        return REPORTS
    return ACKS if isinstance(message, wire.Ack) else RECORDINGS


def _refusal(
    response: http.client.HTTPResponse, body: bytes, message: wire.FromAgent
) -> wire.Refused:
    """The refusal in an answer. A 400 in other words than the dashboard's says nothing of the
    report: whatever stands in between said it."""
    status = response.status
    code = _CODES.get(status)
    seq = message.seq if isinstance(message, wire.Report) else 0
    try:
        said = msgspec.json.decode(body, type=wire.Refused)
    except (msgspec.DecodeError, UnicodeDecodeError):
        if status == 413:
            return wire.Refused(code="too_large", message=f"HTTP {status}", seq=seq)
        if status in _NOT_OURS:
            raise LinkLost(f"posting was answered with HTTP {status}", _NOT_OURS[status]) from None
    else:
        if code is not None and code != "busy":
            return wire.Refused(code=said.code, message=said.message, field=said.field, seq=seq)
    after = response.getheader("Retry-After", "")
    raise LinkLost(
        f"posting was answered with HTTP {status}",
        "busy" if code == "busy" else "network",
        float(after) if after.isdecimal() and len(after) < 4 else 0.0,
    )


def _connection(
    config: AgentConfig,
) -> tuple[http.client.HTTPConnection, str, dict[str, str]]:
    """A connection, direct or by way of a proxy, what stands before each path in a request, and
    the headers that the proxy wants."""
    parts = urlsplit(config.base)
    host, port = parts.hostname or "", parts.port
    address = urllib.request.getproxies().get(parts.scheme)
    if not address or urllib.request.proxy_bypass(parts.netloc):
        if parts.scheme == "https":
            return _https(host, port, config), parts.path, {}
        return http.client.HTTPConnection(host, port, timeout=config.timeout_s), parts.path, {}
    proxy = urlsplit(address if "//" in address else f"//{address}")
    headers = {}
    if proxy.username:
        secret = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        headers["Proxy-Authorization"] = f"Basic {b64encode(secret.encode()).decode()}"
    if parts.scheme == "https":
        tunnel = _https(proxy.hostname or "", proxy.port or 80, config)
        tunnel.set_tunnel(host, port, headers)
        return tunnel, parts.path, {}
    plain = http.client.HTTPConnection(
        proxy.hostname or "", proxy.port or 80, timeout=config.timeout_s
    )
    return plain, config.base, headers


def _https(host: str, port: int | None, config: AgentConfig) -> http.client.HTTPSConnection:
    context = config.ssl_context or ssl.create_default_context()
    return http.client.HTTPSConnection(host, port, timeout=config.timeout_s, context=context)
