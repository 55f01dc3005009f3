"""The production shape on free ports of this machine, and what its processes cost."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
import psycopg

from tests.servers import free_port, postgres_server, redis_server, until

ROOT: Final = Path(__file__).resolve().parents[1]
_TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_PASSWORD: Final = "a password for the benchmarks"
WEB: Final = ("uvicorn", "dashboard.asgi:application", "--loop", "uvloop", "--http", "httptools")
SOCKETS: Final = ("--ws", "websockets-sansio", "--ws-per-message-deflate", "false")


@dataclass
class Shape:
    """Where everything listens, and which processes are the server's."""

    url: str
    redis: str
    postgres: str
    own: dict[str, str]
    web: list[int] = field(default_factory=list)
    fleet: list[int] = field(default_factory=list)

    def manage(self, *arguments: str) -> str:
        """What a management command prints."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={**os.environ, **self.own},
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def tokens(self, services: list[str]) -> dict[str, str]:
        """A fresh token of each service."""
        code = (
            "from dashboard.access.services import create_token\n"
            f"print(*[create_token(name) for name in {services!r}])"
        )
        made = self.manage("shell", "--no-imports", "-c", code).split()
        return dict(zip(services, made[-len(services) :], strict=True))

    def cookie(self, role: str = "operator") -> str:
        """The session of a person who has logged in at the door."""
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(_PASSWORD)
            file.flush()
            self.manage("create_person", "bench", "--role", role, "--password-file", file.name)
        with httpx.Client(base_url=self.url, trust_env=False) as client:
            found = re.search(r'csrfmiddlewaretoken" value="(\w+)"', client.get("/login").text)
            assert found
            form = {"username": "bench", "password": _PASSWORD, "csrfmiddlewaretoken": found[1]}
            assert client.post("/login", data=form).status_code == 302
            return "; ".join(f"{name}={value}" for name, value in client.cookies.items())

    def query(self, sql: str) -> int:
        """One number out of the database."""
        with psycopg.connect(self.postgres) as connection:
            row = connection.execute(sql).fetchone()  # type: ignore[call-overload]
            return int(row[0] or 0)


@contextmanager
def production(web: int = 1, fleet: int = 1, **more: str) -> Iterator[Shape]:
    """Redis, PostgreSQL, web processes and fleet workers meanwhile. No Celery: nothing that is
    measured waits for it."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="switchgear-")))
        redis = stack.enter_context(redis_server(directory))
        postgres = stack.enter_context(postgres_server(directory))
        own = {
            "SWITCHGEAR_DATABASE_URL": postgres,
            "SWITCHGEAR_BUS_URL": redis,
            "SWITCHGEAR_SECRET_KEY": "for this benchmark only, fifty characters or more",
            "SWITCHGEAR_STATIC_ROOT": str(directory / "static"),
            "SWITCHGEAR_LOG_LEVEL": "WARNING",
            **more,
        }
        port = free_port()
        shape = Shape(f"http://127.0.0.1:{port}", redis, postgres, own)
        shape.manage("migrate", "-v0")
        shape.manage("collectstatic", "--noinput", "-v0")
        log = stack.enter_context((directory / "log").open("w"))
        ports = [port, *(free_port() for _ in range(web - 1))]
        for each in ports:
            quiet = ("--log-level", "warning", "--port", str(each))
            shape.web.append(_start(stack, [*WEB, *SOCKETS, *quiet], own, log))
        for _ in range(fleet):
            shape.fleet.append(_start(stack, ["manage", "fleet"], own, log))
        with httpx.Client(trust_env=False) as client:

            def ready() -> None:
                client.get(f"{shape.url}/readyz").raise_for_status()

            until(ready, 60)
        yield shape
        log.flush()
        for line in (directory / "log").read_text().splitlines()[-20:]:
            print("  server:", line, file=sys.stderr)


def _start(stack: ExitStack, module: list[str], own: dict[str, str], log: object) -> int:
    process = subprocess.Popen(
        [sys.executable, "-m", *module],
        cwd=ROOT,
        env={**os.environ, **own},
        stdout=log,  # type: ignore[call-overload]
        stderr=subprocess.STDOUT,
    )

    def stop() -> None:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()

    stack.callback(stop)
    return int(process.pid)


def cpu_s(pids: list[int]) -> float:
    """The seconds of CPU that processes have used so far, all threads, user and system."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS_A_SECOND


def rss_mb(pids: list[int]) -> float:
    """The memory that processes hold."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * _PAGE / 2**20


def percentile(values: list[float], share: float) -> float:
    """The value below which a share of all lies, in order."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def wait_until(ready: object, within_s: float) -> bool:
    """Whether something became true in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if ready():  # type: ignore[operator]
            return True
        time.sleep(0.2)
    return False
