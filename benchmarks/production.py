"""The production shape on free ports of this machine, and what its processes cost."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
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
_SERVER: Final = (
    "--loop", "uvloop", "--http", "httptools",
    "--ws", "websockets-sansio", "--ws-per-message-deflate", "false",
)  # fmt: skip


@dataclass
class ProductionStack:
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
            "from dashboard.access.service_tokens import create_token\n"
            f"print(*[create_token(name) for name in {services!r}])"
        )
        made = self.manage("shell", "--no-imports", "-c", code).split()
        return dict(zip(services, made[-len(services) :], strict=True))

    def cookie(self, role: str = "operator") -> str:
        """The session of a person who has logged in."""
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(_PASSWORD)
            file.flush()
            self.manage("create_person", "bench", "--role", role, "--password-file", file.name)
        with httpx.Client(base_url=self.url, trust_env=False) as client:
            found = re.search(r'csrfmiddlewaretoken" value="(\w+)"', client.get("/login").text)
            assert found
            form = {"login": "bench", "password": _PASSWORD, "csrfmiddlewaretoken": found[1]}
            assert client.post("/login", data=form).status_code == 302
            return "; ".join(f"{name}={value}" for name, value in client.cookies.items())

    def personal_token(self, username: str = "bench") -> str:
        """A token of the REST API that may read and operate, of a person who exists."""
        code = (
            "from datetime import timedelta\n"
            "from django.utils import timezone\n"
            "from dashboard.access.models import Person\n"
            "from dashboard.access.personal_tokens import create_personal_token as create\n"
            f"person = Person.objects.get(username={username!r})\n"
            "ends = timezone.now() + timedelta(hours=1)\n"
            "print(create(person, 'benchmark', ['read', 'operate'], ends)[1])"
        )
        return self.manage("shell", "--no-imports", "-c", code).split()[-1]

    def query(self, sql: str) -> int:
        """One number out of the database."""
        with psycopg.connect(self.postgres) as connection:
            row = connection.execute(sql).fetchone()  # type: ignore[call-overload]
            return int(row[0] or 0)


@contextmanager
def production(web: int = 1, fleet: int = 1, **more: str) -> Iterator[ProductionStack]:
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
        shape = ProductionStack("", redis, postgres, own)
        shape.manage("migrate", "-v0")
        shape.manage("collectstatic", "--noinput", "-v0")
        for _ in range(web):
            port = free_port()
            url = f"http://127.0.0.1:{port}"
            shape.url = shape.url or url
            shape.web.append(_start(stack, ["manage", "web", "--port", str(port)], own))
            until(lambda url=url: _get(f"{url}/healthz"), 60)  # type: ignore[misc]
        for _ in range(fleet):
            shape.fleet.append(_start(stack, ["manage", "fleet"], own))
        if fleet:
            until(lambda: _get(f"{shape.url}/readyz"), 60)
        yield shape


def serve(stack: ExitStack, application: str, own: dict[str, str]) -> tuple[str, int]:
    """Any ASGI application under the server that production has: its address and its process."""
    port = free_port()
    quiet = ("--log-level", "warning", "--port", str(port))
    pid = _start(stack, ["uvicorn", application, *_SERVER, *quiet], own)
    url = f"http://127.0.0.1:{port}"
    until(lambda: _get(f"{url}/healthz"), 60)
    return url, pid


def _get(url: str) -> None:
    httpx.get(url, trust_env=False).raise_for_status()


def _start(stack: ExitStack, module: list[str], own: dict[str, str]) -> int:
    process = subprocess.Popen([sys.executable, "-m", *module], cwd=ROOT, env={**os.environ, **own})

    def stop() -> None:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()

    stack.callback(stop)
    return process.pid


def cpu_s(pids: list[int]) -> float:
    """The seconds of CPU that processes have used so far, user and system: to the nanosecond where
    the kernel keeps count of that for each thread, else in ticks."""
    return sum(map(_threads_s, pids))


def _threads_s(pid: int) -> float:
    try:
        threads = Path(f"/proc/{pid}/task").iterdir()
        return sum(int((each / "schedstat").read_text().split()[0]) for each in threads) / 1e9
    except FileNotFoundError:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


def rss_mb(pids: list[int]) -> float:
    """The memory that processes hold."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * _PAGE / 2**20


def percentile(values: list[float], share: float) -> float:
    """The value below which a share of all lies, in order."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
