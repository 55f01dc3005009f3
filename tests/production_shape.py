"""The production shape for fault tests: real servers and processes, each of which may be killed,
stopped and started again, behind a proxy that may be cut; and services that call meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import redis

from dashboard.bus.interface import partition_of
from dashboard.bus.redis import keys
from tests.dashboard.child_process import Dashboard
from tests.examples.running import ROOT, Running, eventually, http
from tests.servers import PostgresServer, RedisServer, free_port
from tests.tcp_proxy import FaultyProxy

SERVICE = "shop"
TOKEN = "swg_" + "t" * 40
INTERVAL_S = 1.0


class Member:
    """One of our own processes."""

    def __init__(self, *command: str, **env: str) -> None:
        self._command = command
        self._env = env
        self._running: Running | None = None

    @property
    def pid(self) -> int:
        assert self._running is not None
        return self._running.process.pid

    @property
    def log(self) -> str:
        """Its output."""
        return "\n".join(self._running.lines) if self._running else ""

    def start(self) -> None:
        """Start the process, without waiting until it is ready."""
        self._running = Running(*self._command, **self._env)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        if self._running is not None:
            self._running.process.kill()
            self._running.process.wait()

    def end(self) -> None:
        """Stop it with SIGTERM."""
        assert self._running is not None
        self._running.process.terminate()
        # Some processes re-raise the signal after their shutdown.
        assert self._running.process.wait(20) in (0, -signal.SIGTERM), self.log[-2000:]


class Callers:
    """A process of the service; see `tests.callers`."""

    def __init__(self, url: str, prefix: str, instances: int, clock_off_s: float = 0.0) -> None:
        self.names = {f"{prefix}{n}" for n in range(instances)}
        figures = (str(instances), str(clock_off_s))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.callers", url, TOKEN, SERVICE, prefix, *figures],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, command: str = "tell") -> dict[str, Any]:
        """Send `go`, `pause`, `arm`, `stop` or `tell`; returns the totals."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self._process.kill()
        self._process.wait()


class ProductionStack(Dashboard):
    """Redis and PostgreSQL, two web processes, two fleet workers, Celery's worker and beat, and
    callers behind a faulty proxy."""

    def __init__(self, directory: Path, stack: ExitStack, **more: str) -> None:
        self.postgres = stack.enter_context(PostgresServer(directory))
        self.redis = stack.enter_context(RedisServer(directory, keeps=True))
        ports = self.web_ports = [free_port(), free_port()]
        own = {
            "SWITCHGEAR_DATABASE_URL": self.postgres.url,
            "SWITCHGEAR_BUS_URL": self.redis.url,
            "SWITCHGEAR_SECRET_KEY": "for these tests only, fifty characters or more of it",
            "SWITCHGEAR_STATIC_ROOT": str(directory / "static"),
            "SWITCHGEAR_REPORT_INTERVAL": str(INTERVAL_S),
            **more,
        }
        super().__init__(f"http://127.0.0.1:{ports[0]}", own)
        self.urls = [f"http://127.0.0.1:{port}" for port in ports]
        self.webs = [Member("manage", "web", "--port", str(port), **own) for port in ports]
        self.fleets = [Member("manage", "fleet", **own) for _ in range(2)]
        # As in the Procfile.
        celery = ("celery", "-A", "dashboard")
        quiet = ("--loglevel", "warning")
        self.worker = Member(*celery, "worker", "--pool", "solo", *quiet, **own)
        schedule = str(directory / "beat")
        self.beat = Member(*celery, "beat", *quiet, "--schedule", schedule, **own)
        self.callers: list[Callers] = []
        self.is_whole = True
        self._directory = directory
        self._cookie = ""
        self._start(stack, ports)

    def _start(self, stack: ExitStack, ports: list[int]) -> None:
        stack.callback(lambda: self.shell.close())
        self.manage("migrate", "-v0")
        secret = self._directory / "token"
        secret.write_text(TOKEN)
        self.manage("create_token", SERVICE, "--value-file", str(secret))
        for member in (*self.webs, *self.fleets, self.worker, self.beat):
            stack.callback(member.kill)
            member.start()
        self.proxy = FaultyProxy(ports)
        stack.callback(self.proxy.close)
        for url in self.urls:
            eventually(lambda url=url: http.get(f"{url}/readyz").is_success, 30)  # type: ignore[misc]
        self._cookie = self.python(
            "from django.test import Client\n"
            "from dashboard.access.people import keep_person\n"
            "client = Client()\n"
            "client.force_login(keep_person('ops', 'operator'))\n"
            "print(json.dumps(client.cookies['sessionid'].value))"
        )

    @property
    def agents_url(self) -> str:
        """Where agents connect: through the proxy."""
        return f"http://127.0.0.1:{self.proxy.port}"

    # -- Services --------------------------------------------------------------------------------

    def call(self, prefix: str, instances: int, clock_off_s: float = 0.0) -> Callers:
        """Start more instances that call."""
        callers = Callers(self.agents_url, prefix, instances, clock_off_s)
        self.callers.append(callers)
        callers.ask("go")
        return callers

    def ask(self, command: str = "tell") -> list[dict[str, Any]]:
        """Ask every process of the service."""
        return [each.ask(command) for each in self.callers]

    def force(self, breaker: str, state: str, expires_in_s: float = 3600) -> None:
        """Set or lift an override, like an operator."""
        self.python(
            "from dashboard.access.models import Person\n"
            "from tests.operator_actions import force\n"
            "ops = Person.objects.get(username='ops')\n"
            f"force(ops, '{SERVICE}', '{breaker}', '{state}', 'a drill', {expires_in_s})\n"
            "print('true')"
        )

    def lift(self, breaker: str) -> None:
        """Set or lift an override, like an operator."""
        self.python(
            "from dashboard.access.models import Person\n"
            "from tests.operator_actions import lift\n"
            "ops = Person.objects.get(username='ops')\n"
            f"print(json.dumps(lift(ops, '{SERVICE}', '{breaker}', 'over')))"
        )

    # -- Observations ----------------------------------------------------------------------------

    def counted(self) -> dict[str, int]:
        """The counts in history of the callers' breakers."""
        total: dict[str, int] = self.python(
            "from django.db.models import Sum\n"
            "from dashboard.history.models import Rollup\n"
            f"rows = Rollup.objects.filter(service='{SERVICE}', breaker__in=['posts', 'held'])\n"
            "print(json.dumps(rows.aggregate(success=Sum('success'), rejected=Sum('rejected'))))"
        )
        return total

    def carried(self) -> list[dict[str, list[int]]]:
        """The counts of each breaker in each coarser level of history, followed by those of the
        level below over the same time: minute, ten seconds, hour, minute. All at one moment."""
        found: list[dict[str, list[int]]] = self.python(
            "from django.db import connection, transaction\n"
            "from django.db.models import Sum\n"
            "from dashboard.history.services import MODELS, marks\n"
            "def sums(model, until):\n"
            "    rows = model.objects.filter(start__lt=until).values_list('breaker')\n"
            "    return {name: counts for name, *counts in\n"
            "            rows.annotate(Sum('success'), Sum('rejected')).order_by('breaker')}\n"
            "\n"
            "with transaction.atomic():\n"
            "    with connection.cursor() as cursor:\n"
            "        cursor.execute('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ')\n"
            "    until = marks()\n"
            "    print(json.dumps([sums(MODELS[i], until[n]) for n in (1, 2) for i in (n, n - 1)]))"
        )
        return found

    def made(self) -> dict[str, int]:
        """The counts of the callers themselves."""
        answers = self.ask()
        return {name: sum(each[name] for each in answers) for name in ("success", "rejected")}

    def page(self, url: str) -> dict[str, Any]:
        """The service as shown by the page of one web process."""
        answer = http.get(f"{url}/api/v1/fleet", headers={"Cookie": f"sessionid={self._cookie}"})
        services = answer.raise_for_status().json()["services"]
        (found,) = (each for each in services if each["name"] == SERVICE)
        shown: dict[str, Any] = found
        return shown

    def untrue(self, **states: str) -> str:
        """What is wrong on the page of a web process: missing or stale instances, breakers in other
        states than `states`. Empty if nothing is wrong."""
        wanted = {name for each in self.callers for name in each.names}
        for url, web in zip(self.urls, self.webs, strict=True):
            try:
                shown = self.page(url)
            except (httpx.HTTPError, ValueError) as error:
                return f"{url}: {error!r}\n{web.log[-2000:]}"
            fresh = {each["id"] for each in shown["instances"] if not each["stale"]}
            if missing := wanted - fresh:
                known = {each["id"]: time.time() - each["seen_at"] for each in shown["instances"]}
                silent = {name: known.get(name) for name in sorted(missing)[:5]}
                return f"{url}: {len(missing)} of {len(wanted)} instances are missing: {silent}"
            breakers = {each["name"]: each for each in shown["breakers"]}
            for name, state in states.items():
                at = {
                    each["state"]
                    for each in breakers.get(name, {"instances": []})["instances"]
                    if each["id"] in wanted and not each["stale"]
                }
                if at != {state}:
                    return f"{url}: {name} is {at}, not {state}"
            if not breakers["posts"]["rate"]:
                return f"{url}: no calls are shown"
        return ""

    def holder(self) -> Member:
        """The fleet worker that holds the service's partition."""
        client = redis.Redis.from_url(self.redis.url)

        def look() -> Member | None:
            lease = client.get(keys.lease(partition_of(SERVICE)))
            pid = int(lease.split(b"-")[-2]) if lease else 0  # type: ignore[union-attr]
            return next((each for each in self.fleets if each.pid == pid), None)

        return eventually(look, 10)

    def until_true(self, within_s: float = 10.0, **states: str) -> None:
        """Wait until the page shows the expected states."""
        expected = {"posts": "closed", "held": "forced_open", **states}
        eventually(lambda: not self.untrue(**expected), within_s, lambda: self.untrue(**expected))

    def until_well(self, within_s: float = 10.0) -> None:
        """Wait until the page is right and a new action arrives. Without a new action a page could
        be right because nothing has changed since the fault."""
        self.until_true(within_s)
        self.force("posts", "metrics_only")
        self.until_true(within_s, posts="metrics_only")
        self.lift("posts")
        self.until_true(within_s)

    def check(self) -> None:
        """No call failed, passed against the override or waited, and each was counted once."""
        try:
            for totals in self.ask("pause"):
                assert totals["errors"] == 0
                assert totals["violated"] == 0
                # Generous: these processes share their cores with everything else.
                assert totals["p99_s"] < 0.25
            made = self.made()
            assert all(made.values())
            eventually(lambda: self.counted() == made, 10, lambda: (made, self.counted()))
        finally:
            self.ask("go")


@contextmanager
def production(directory: Path, instances: int = 50, **more: str) -> Iterator[ProductionStack]:
    """The production shape with a service of `instances`, whose breaker `held` is forced open."""
    with ExitStack() as stack:
        shape = ProductionStack(directory, stack, **more)
        try:
            half = instances // 2
            shape.call("a", half)
            shape.call("b", instances - half, clock_off_s=3600.0)
            eventually(lambda: not shape.untrue(), 20, shape.untrue)
            shape.force("held", "forced_open")
            shape.until_true()
            shape.ask("arm")
            yield shape
        finally:
            for callers in shape.callers:
                callers.kill()
