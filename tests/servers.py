"""Real servers for the tests that need them: Redis and PostgreSQL on free ports of this machine."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import psycopg
import redis


def free_port() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(ready: Callable[[], object], within_s: float = 20.0) -> None:
    """Wait until `ready` no longer raises."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            ready()
            return
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@contextmanager
def started(command: Sequence[str | Path], user: str | None = None) -> Iterator[None]:
    """A server process meanwhile."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=user
    )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


def _redis_program() -> str:
    program = shutil.which("redis-server")
    assert program, "these tests need redis-server: apt-get install redis-server"
    return program


@contextmanager
def redis_cluster(directory: Path) -> Iterator[str]:
    """The address of a Redis Cluster of three nodes that keeps nothing."""
    program = _redis_program()
    with ExitStack() as stack:
        nodes = []
        for n in range(3):
            home = directory / f"node{n}"
            home.mkdir()
            port, gossip = free_port(), free_port()
            options = ["--port", str(port), "--cluster-port", str(gossip), "--save", ""]
            options += ["--bind", "127.0.0.1", "--cluster-enabled", "yes", "--dir", str(home)]
            stack.enter_context(started([program, *options]))
            until(redis.Redis(port=port).ping)
            nodes.append(f"127.0.0.1:{port}")
        create = [str(Path(program).with_name("redis-cli")), "--cluster", "create", *nodes]
        subprocess.run([*create, "--cluster-yes"], check=True, capture_output=True, timeout=60)
        url = f"redis+cluster://{nodes[0]}"
        until(redis.RedisCluster.from_url(url.replace("+cluster", "")).ping)
        yield url


class Server:
    """A server process that tests may kill and start again, on the same port and data."""

    def __init__(
        self, command: Sequence[str | Path], ready: Callable[[], object], user: str | None = None
    ) -> None:
        self._command = command
        self._ready = ready
        self._user = user
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Until it answers. A server that has just died may not come up at once: what it leaves
        behind (shared memory, for one) takes a moment to go."""

        def is_ready() -> None:
            if self.process is None or self.process.poll() is not None:
                self.process = subprocess.Popen(
                    self._command,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    user=self._user,
                )
            self._ready()

        until(is_ready)

    def send(self, number: int) -> None:
        """Stop it for a while, say, and let it go on."""
        assert self.process is not None
        self.process.send_signal(number)

    def end(self, number: int = signal.SIGTERM) -> None:
        """By a signal; SIGKILL if it has not ended ten seconds later."""
        if self.process is None:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.end()


class RedisServer(Server):
    """A Redis; `keeps` says whether its data outlive it."""

    def __init__(self, directory: Path, keeps: bool = False) -> None:
        port = free_port()
        self.url = f"redis://127.0.0.1:{port}/0"
        self._directory = directory
        where = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory)]
        keeping = ["--save", "", "--appendonly", "yes" if keeps else "no"]
        super().__init__([_redis_program(), *where, *keeping], redis.Redis.from_url(self.url).ping)

    def forget(self) -> None:
        """Remove its data, while it does not run."""
        for path in (*self._directory.glob("appendonlydir/*"), *self._directory.glob("*.rdb")):
            path.unlink()


class PostgresServer(Server):
    """A PostgreSQL with an empty database. It refuses to run as root: where we are root, it runs as
    the user that its package made, with its data where that user may go: pytest closes its
    directory to others again whenever another pytest starts."""

    def __init__(self, directory: Path) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
        program = str(found[-1]) if found else shutil.which("postgres")
        assert program, "these tests need PostgreSQL: apt-get install postgresql"
        user = "postgres" if os.getuid() == 0 else None
        self._data = Path(tempfile.mkdtemp(prefix="postgres-", dir=None if user else directory))
        data, port = self._data, free_port()
        self.url = f"postgres://tests@127.0.0.1:{port}/postgres"
        if user:
            os.chown(data, pwd.getpwnam(user).pw_uid, -1)
        _initialise(program, data, user)
        where = ["-D", data, "-p", str(port), "-c", "listen_addresses=127.0.0.1", "-k", data]
        command = [program, *where, "-c", "fsync=off"]
        super().__init__(command, lambda: psycopg.connect(self.url).close(), user)

    def __exit__(self, *error: object) -> None:
        # Whoever is connected still is of no interest any more.
        self.end(signal.SIGINT)
        shutil.rmtree(self._data, ignore_errors=True)


def _initialise(program: str, data: Path, user: str | None) -> None:
    initdb = [str(Path(program).with_name("initdb")), "-D", str(data), "-A", "trust", "-U", "tests"]
    made = subprocess.run([*initdb, "-E", "UTF8", "--no-sync"], capture_output=True, user=user)
    assert made.returncode == 0, made.stderr.decode()


@contextmanager
def redis_server(directory: Path) -> Iterator[str]:
    """The address of a Redis that keeps nothing."""
    with RedisServer(directory) as server:
        yield server.url


@contextmanager
def postgres_server(directory: Path) -> Iterator[str]:
    """The address of an empty PostgreSQL database."""
    with PostgresServer(directory) as server:
        yield server.url
