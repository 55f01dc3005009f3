"""A dashboard for tests: it listens on localhost, keeps what it receives, and sends what the
test wants said. Import it as `breakers.testing.FakeDashboard`."""

from __future__ import annotations

import contextlib
import http
import http.server
import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final, TypeVar

import msgspec
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol

from breakers.agent.agent import Agent, start
from breakers.protocol import messages as wire
from breakers.protocol.codec import CODECS, Codec
from breakers.protocol.paths import SOCKET as SOCKET_PATH
from breakers.testing.http_poster import HttpPoster

T = TypeVar("T")
_HTTP_PATIENCE_S: Final = 30.0
GOING_AWAY: Final = 1012


class FakeDashboard:
    """What a test sees of its agents, and how it commands them.

    `reports` holds each report once, `duplicates` counts those that came again. Its switches:
    `confirms` (whether reports are confirmed), `takes_websockets`, and `refuses`, a function that
    may answer a message with a refusal. `unpacked` counts posts that came gzipped, `deflates` says
    whether the last WebSocket is compressed.

    >>> from breakers import CircuitBreaker, Registry, agent
    >>> mine = Registry()
    >>> posts = CircuitBreaker(name="posts", registry=mine)
    >>> with FakeDashboard() as dashboard:
    ...     running = dashboard.start_agent(registry=mine)
    ...     _ = posts.call(len, "four")
    ...     _ = dashboard.force("posts", "forced_open")
    ...     dashboard.wait_for(lambda: dashboard.states("posts") == {"forced_open"})
    ...     running.stop()
    ...     dashboard.counts("posts")
    True
    True
    {'success': 1}
    """

    def __init__(self, service: str = "tested", token: str | None = None) -> None:
        self.service = service
        self.token = token or secrets.token_hex(8)
        self.reports: list[wire.Report] = []
        self.duplicates = 0
        self.acks: list[wire.Ack] = []
        self.recordings: list[wire.Recording] = []
        self.desired = wire.Desired(revision=1, interval_s=0.25)
        self.confirms = True
        self.takes_websockets = True
        self.refuses: Callable[[wire.FromAgent], wire.Refused | None] = lambda message: None
        self.connects = 0
        self.posts = 0
        self.unpacked = 0
        self.deflates = False
        self._port = 0
        self._server: Server | None = None
        self._sockets: dict[ServerConnection, Codec] = {}
        self._http: set[socket.socket] = set()
        self._seen: set[tuple[str, str, int]] = set()
        self._changed = threading.Condition(threading.RLock())

    # -- Being there -----------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where agents find it; the same after a restart."""
        return f"ws://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Begin to listen."""
        self._server = serve(
            self._converse,
            "127.0.0.1",
            self._port,
            process_request=self._admit,
            subprotocols=[Subprotocol(codec.subprotocol) for codec in CODECS],
            ping_interval=None,
            close_timeout=0.2,
        )
        self._port = self._server.socket.getsockname()[1]
        websocket = self._server.handler
        self._server.handler = lambda sock, address: self._sort(sock, address, websocket)
        threading.Thread(
            target=self._server.serve_forever, name="fake-dashboard", daemon=True
        ).start()

    def stop(self) -> None:
        """Stop listening and break every connection off, as a killed process does."""
        server, self._server = self._server, None
        if server is not None:
            self.drop_connections()
            server.shutdown()

    def drop_connections(self) -> None:
        """Break every connection off without a word."""
        with self._changed:
            sockets = [each.socket for each in self._sockets] + list(self._http)
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def hand_over(self) -> None:
        """Close every WebSocket as a server that restarts does: with the hint to come back soon."""
        for each in list(self._sockets):
            each.close(GOING_AWAY, "restarting")

    def __enter__(self) -> FakeDashboard:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # -- Commanding ------------------------------------------------------------------------------

    def force(
        self,
        breaker: str,
        state: str,
        expires_in_s: float | None = None,
        instances: Iterable[str] | None = None,
        id: str | None = None,
        share: float | None = None,
    ) -> str:
        """Override a breaker's state, in place of any earlier override; the override's id. `share`
        is what `forced_partial` lets through."""
        with self._changed:
            id = id or f"override-{self.desired.revision + 1}"
            others = [each for each in self.desired.overrides if each.breaker != breaker]
            meant = None if instances is None else list(instances)
            override = wire.Override(id, breaker, state, meant, expires_in_s, share)
            self._change(overrides=[*others, override])
        return id

    def lift(self, breaker: str) -> None:
        """Lift a breaker's override."""
        with self._changed:
            self._change(
                overrides=[each for each in self.desired.overrides if each.breaker != breaker]
            )

    def inject(
        self,
        breaker: str,
        kind: str = "error",
        *,
        share: float = 1.0,
        latency_s: float = 0.0,
        expires_in_s: float = 60.0,
    ) -> str:
        """Inject a fault into a breaker's calls, in place of any earlier one; the order's id. Only
        an agent whose code names the breaker obeys (`start_agent(faults=[…])`)."""
        with self._changed:
            id = f"fault-{self.desired.revision + 1}"
            others = [each for each in self.desired.faults if each.breaker != breaker]
            order = wire.FaultOrder(id, breaker, kind, expires_in_s, share, latency_s)
            self._change(faults=[*others, order])
        return id

    def stop_faults(self) -> None:
        """Take every fault off."""
        with self._changed:
            self._change(faults=[])

    def set_policy(self, breaker: str, **fields: object) -> None:
        """Put fields of a breaker's policy in force; none goes back to what code declares."""
        with self._changed:
            others = [each for each in self.desired.policies if each.breaker != breaker]
            mine = [wire.PolicyItem(breaker, fields)] if fields else []
            self._change(policies=[*others, *mine])

    def _change(self, **fields: Any) -> None:
        revision = self.desired.revision + 1
        self.say(msgspec.structs.replace(self.desired, revision=revision, **fields))

    def say(self, desired: wire.Desired) -> None:
        """Make this the desired state, and tell everyone connected."""
        with self._changed:
            self.desired = desired
            sockets = list(self._sockets)
        for each in sockets:
            self.tell(each, desired)

    def tell(self, connection: ServerConnection, message: wire.FromServer) -> None:
        """Send one message to one agent."""
        codec = self._sockets.get(connection, CODECS[0])
        with contextlib.suppress(ConnectionClosed, OSError):
            connection.send(codec.encode(message), text=codec.is_text)

    # -- Seeing ----------------------------------------------------------------------------------

    def counts(self, breaker: str) -> dict[str, int]:
        """Everything counted at a breaker so far, over all instances, each report once."""
        total: Counter[str] = Counter()
        with self._changed:
            for report in self.reports:
                for each in report.breakers:
                    if each.name == breaker:
                        total += Counter(msgspec.structs.asdict(each.counts))
        return dict(total)

    def transitions(self, breaker: str) -> list[wire.Transition]:
        """A breaker's transitions in the order in which they were received."""
        with self._changed:
            mine = [each for report in self.reports for each in report.breakers]
        return [moved for each in mine if each.name == breaker for moved in each.transitions]

    def states(self, breaker: str) -> set[str]:
        """The states in which the instances last reported a breaker."""
        latest: dict[str, str] = {}
        with self._changed:
            for report in self.reports:
                for each in report.breakers:
                    if each.name == breaker:
                        latest[report.instance.id] = each.state
        return set(latest.values())

    def wait_for(self, condition: Callable[[], T], timeout_s: float = 5.0) -> T:
        """Wait until `condition()` is true, looked at whenever something came in; its value.

        Raises:
            TimeoutError: it did not become true.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not (value := condition()):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"not within {timeout_s} s")
                self._changed.wait(min(left, 0.05))
        return value

    def start_agent(self, **settings: Any) -> Agent:
        """Start an agent in this process that reports here; `settings` as for `agent.start`."""
        return start(url=self.url, token=self.token, service=self.service, **settings)

    # -- Listening -------------------------------------------------------------------------------

    def _sort(
        self, sock: socket.socket, address: Any, websocket: Callable[[socket.socket, Any], None]
    ) -> None:
        """One port for both: a post goes to HTTP, anything else is a WebSocket's handshake."""
        sock.settimeout(_HTTP_PATIENCE_S)
        opening = b""
        with contextlib.suppress(OSError):
            opening = sock.recv(4, socket.MSG_PEEK | socket.MSG_WAITALL)
        if opening != b"POST":
            sock.settimeout(None)
            websocket(sock, address)
            return
        server = self._server
        self._http.add(sock)
        try:
            with contextlib.suppress(OSError):
                HttpPoster(sock, address, self)
        finally:
            self._http.discard(sock)
            sock.close()
            if server is not None:
                with server.lock:
                    server.handler_threads.discard(threading.current_thread())

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        if not self.takes_websockets:
            return _answer(426, wire.Refused("no_websocket", "no WebSocket here"))
        if not self.is_ours(request.headers.get("Authorization", "")):
            return _answer(401, wire.Refused("unauthenticated", "no valid bearer token"))
        if request.path != SOCKET_PATH:
            return _answer(404, wire.Refused("not_found", request.path))
        return None

    def is_ours(self, authorization: str) -> bool:
        """Whether a request carries our token."""
        return authorization == f"Bearer {self.token}"

    def _converse(self, connection: ServerConnection) -> None:
        codec = next(each for each in CODECS if each.subprotocol == connection.subprotocol)
        with self._changed:
            self._sockets[connection] = codec
            self.connects += 1
            self.deflates = bool(connection.protocol.extensions)
        try:
            self.tell(connection, self.desired)
            for data in connection:
                raw = data.encode() if isinstance(data, str) else data
                message = codec.from_agent(raw)
                answer = self.take(message)
                if answer is not None:
                    self.tell(connection, answer)
                if isinstance(answer, wire.Refused):
                    connection.close(4400)
        except (ConnectionClosed, OSError):
            pass
        finally:
            self._sockets.pop(connection, None)

    def take(self, message: wire.FromAgent) -> wire.Received | wire.Refused | None:
        """Take a message in; the answer to it, if it gets one."""
        with self._changed:
            refused = self.refuses(message)
            if refused is not None:
                return refused
            if isinstance(message, wire.Ack):
                self.acks.append(message)
            elif isinstance(message, wire.Recording):
                self.recordings.append(message)
            else:
                self._keep(message)
            self._changed.notify_all()
        if isinstance(message, wire.Report) and self.confirms:
            return wire.Received(message.boot, message.seq)
        return None

    def _keep(self, report: wire.Report) -> None:
        key = (report.instance.id, report.boot, report.seq)
        if key in self._seen:
            self.duplicates += 1
        else:
            self._seen.add(key)
            self.reports.append(report)


def _answer(status: int, refused: wire.Refused) -> Response:
    body = msgspec.json.encode(refused)
    headers = Headers({"Content-Type": "application/json", "Content-Length": str(len(body))})
    return Response(status, http.HTTPStatus(status).phrase, headers, body)
