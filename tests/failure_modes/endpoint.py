"""One version of the endpoint as a process: `python -m tests.failure_modes.endpoint FD CONFIG`.

The naive and the article's version are synchronous, in six processes of one thread each, where an
alarm works. Ours is asynchronous, in one process. All listen on an inherited socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import mmap
import os
import resource
import signal
import socket
import struct
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import msgspec

from examples.parent_watchdog import end_with_parent
from tests.failure_modes.config import Config

WORKERS = 6
_shared = mmap.mmap(-1, 8)  # seconds that the wall clock is stepped by, in all processes
_time = time.time
_first_process = os.getpid()


def step_clock(seconds: float) -> None:
    struct.pack_into("d", _shared, 0, seconds)


def install_clock() -> None:
    """Let `time.time` and `datetime.now` read a wall clock that can be stepped."""

    def stepped() -> float:
        offset: float = struct.unpack_from("d", _shared)[0]
        return _time() + offset

    class SteppedDatetime(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> SteppedDatetime:
            return cls.fromtimestamp(stepped(), tz)

    time.time = stepped
    datetime.datetime = SteppedDatetime  # type: ignore[misc]


def install_resolver(port: int) -> None:
    """Resolve names under `.shop` at the DNS server on this port; leave others to the system."""
    system = socket.getaddrinfo

    def getaddrinfo(host: Any, service: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if not (isinstance(name, str) and name.endswith(".shop")):
            return system(host, service, *args, **kwargs)
        return system(_ask(name, port), service, *args, **kwargs)

    socket.getaddrinfo = getaddrinfo


def _ask(name: str, port: int) -> str:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    query = os.urandom(2) + b"\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(10)
        asking.sendto(query + labels + b"\x00\x00\x01\x00\x01", ("127.0.0.1", port))
        answer = asking.recv(512)
    if answer[3] & 0x0F:
        raise socket.gaierror(socket.EAI_NONAME, f"{name}: name not known")
    return socket.inet_ntoa(answer[-4:])


def about() -> dict[str, float]:
    """What `/other` answers: the first process of this endpoint, and the memory of this one."""
    rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"process": _first_process, "rss": rss_mb}


def serve_sync(listening: socket.socket, config: Config) -> None:
    """Six processes, each answering one request at a time."""
    from tests.failure_modes.article import ArticleProfiles
    from tests.failure_modes.naive import NaiveProfiles

    kind = NaiveProfiles if config.version == "naive" else ArticleProfiles
    service = kind(config)
    if config.warms_before_fork:
        with contextlib.suppress(Exception):
            service.get_user_profile(999)

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            if path.startswith("/profile/"):
                try:
                    self.reply(200, service.get_user_profile(int(path.rsplit("/", 1)[1])))
                except Exception as error:
                    self.reply(500, {"error": repr(error)})
            elif path == "/clock":
                step_clock(float(query))
                self.reply(200, {})
            else:
                self.reply(200, about())

        def reply(self, status: int, content: Any) -> None:
            body = json.dumps(content).encode()
            with contextlib.suppress(ConnectionError):
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    children = []
    for _ in range(WORKERS):
        if not (pid := os.fork()):
            end_with_parent()
            server = HTTPServer(listening.getsockname(), Handler, bind_and_activate=False)
            server.socket.close()
            server.socket = listening
            server.serve_forever(poll_interval=5)
            os._exit(0)
        children.append(pid)

    def end(number: int, frame: object) -> None:
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    while True:
        signal.pause()


def serve_ours(listening: socket.socket, config: Config) -> None:
    import uvicorn

    from breakers import agent
    from tests.failure_modes.ours import OurProfiles
    from tests.failure_modes.ours_app import make_app

    service = OurProfiles(config)
    if config.warms_before_fork:
        asyncio.run(service.get_user_profile(999))
        os.fork()  # both processes serve the socket; their group ends together
        end_with_parent()
    if config.dashboard:
        agent.start(
            url=config.dashboard,
            token=config.token,
            service="tested",
            interval_s=0.25,
            timeout_s=1.0,
            reconnect_max_s=0.5,
        )
    app = make_app(service, step_clock, about)
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=3)
    )
    asyncio.run(server.serve(sockets=[listening]))


def main() -> None:
    end_with_parent()
    listening = socket.socket(fileno=int(sys.argv[1]))
    config = msgspec.json.decode(sys.argv[2], type=Config)
    os.setpgid(0, 0)
    install_clock()
    install_resolver(config.dns)
    if config.version == "switchgear":
        serve_ours(listening, config)
    else:
        serve_sync(listening, config)


if __name__ == "__main__":
    main()
