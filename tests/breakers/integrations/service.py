"""A real HTTP/1.1 server on a free port that answers as the test says, in order."""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Requests(NamedTuple):
    """A request that arrived, and from which client port: the same port is the same connection."""

    method: str
    path: str
    body: bytes
    port: int


class Service:
    """Answers 200 where nothing else is planned. `asked` is every request that arrived."""

    def __init__(self, port: int) -> None:
        self.host = f"127.0.0.1:{port}"
        self.url = f"http://{self.host}"
        self.asked: list[Requests] = []
        self.plan: deque[Callable[[Handler], None]] = deque()
        self.over = threading.Event()

    def answers(self, *statuses: int, headers: Mapping[str, str] | None = None) -> None:
        """Plan plain answers."""
        for status in statuses:
            self.plan.append(lambda handler, status=status: handler.answer(status, headers or {}))  # type: ignore[misc]

    def hangs_up(self) -> None:
        """Plan a connection that is dropped without an answer."""
        self.plan.append(Handler.drop)

    def answers_and_hangs_up(self) -> None:
        """Plan an answer on a connection that seems to be kept alive, and is not."""

        def act(handler: Handler) -> None:
            handler.answer(200, {})
            handler.wfile.flush()
            handler.drop()

        self.plan.append(act)

    def hangs(self, after: bytes | None = None, status: int = 200) -> None:
        """Plan silence until the test is over: at once, or after the headers and `after`."""
        self.plan.append(lambda handler: handler.hang(after, status=status))

    def breaks_off(self) -> None:
        """Plan a body that ends before its length."""
        self.plan.append(Handler.break_off)

    def drips(self, chunks: int, every_s: float) -> None:
        """Plan a body of several chunks, a pause before each."""
        self.plan.append(lambda handler: handler.drip(chunks, every_s))

    def streams_events(self) -> None:
        """Plan an event stream: one event, then silence."""
        self.plan.append(lambda handler: handler.hang(b"data: 1\n\n", "text/event-stream"))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body are written one after the other: the second would wait for a late ACK.
    disable_nagle_algorithm = True
    service: Service

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True

    def do(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.service.asked.append(Requests(self.command, self.path, body, self.client_address[1]))
        try:
            act = self.service.plan.popleft()
        except IndexError:
            self.answer(200, {})
        else:
            act(self)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = do_PATCH = do

    def answer(self, status: int, headers: Mapping[str, str]) -> None:
        body = b"" if self.command == "HEAD" or status == 204 else b"answer"
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(body)

    def drop(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def hang(self, after: bytes | None, kind: str = "text/plain", status: int = 200) -> None:
        if after is not None:
            self._begin(1000, kind, status)
            self.wfile.write(after)
        self.service.over.wait(20)
        self.close_connection = True

    def break_off(self) -> None:
        self._begin(1000, "text/plain")
        self.wfile.write(b"half")
        self.wfile.flush()
        self.drop()

    def drip(self, chunks: int, every_s: float) -> None:
        self._begin(chunks, "text/plain")
        for _ in range(chunks):
            time.sleep(every_s)
            self.wfile.write(b".")
            self.wfile.flush()

    def _begin(self, length: int, kind: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128


@contextmanager
def http_service() -> Iterator[Service]:
    """A service that listens meanwhile."""
    server = _Server(("127.0.0.1", 0), type("Own", (Handler,), {}))
    service = Service(server.server_address[1])
    server.RequestHandlerClass.service = service  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield service
    finally:
        service.over.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
