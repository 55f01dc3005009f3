"""Real servers for the tests that need them: Redis and PostgreSQL on free ports of this machine."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import redis


def free_port() -> int:
    """A port that nobody listens on."""
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


@contextmanager
def redis_server(directory: Path) -> Iterator[str]:
    """The address of a Redis that keeps nothing."""
    program = _redis_program()
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(directory)]
    with started([program, *options]):
        until(redis.Redis.from_url(url).ping)
        yield url


@contextmanager
def postgres_server(directory: Path) -> Iterator[str]:
    """The address of an empty PostgreSQL database. PostgreSQL refuses to run as root: where we are
    root, it runs as the user that its package made."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    program = str(found[-1]) if found else shutil.which("postgres")
    assert program, "these tests need PostgreSQL: apt-get install postgresql"
    user = "postgres" if os.getuid() == 0 else None
    data, port = directory / "postgres", free_port()
    data.mkdir()
    if user:
        for path in (data, *directory.parents, directory):
            if path.owner() == "root" and path != Path("/"):
                path.chmod(path.stat().st_mode | 0o011)
        os.chown(data, pwd.getpwnam(user).pw_uid, -1)
    initdb = [str(Path(program).with_name("initdb")), "-D", str(data), "-A", "trust", "-U", "tests"]
    made = subprocess.run([*initdb, "-E", "UTF8", "--no-sync"], capture_output=True, user=user)
    assert made.returncode == 0, made.stderr.decode()
    options = ["-D", data, "-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
    url = f"postgres://tests@127.0.0.1:{port}/postgres"
    with started([program, *options, "-k", data], user=user):
        until(lambda: psycopg.connect(url).close())
        yield url
