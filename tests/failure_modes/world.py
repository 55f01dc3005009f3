"""A world of dependencies and the endpoint of each version, in which modes are played."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import redis.asyncio

from breakers.testing import FakeDashboard
from tests.failure_modes import certificates
from tests.failure_modes.answers import COMPLETE, Answer
from tests.failure_modes.config import Config
from tests.failure_modes.faults import CacheProxy, Dependency, Fault, NameServer
from tests.failure_modes.mode_types import Mode, Phase, Promise

VERSIONS = ("naive", "article", "switchgear")


AT_ONCE = 2  # modes in a batch; each runs its versions side by side


PATIENCE_S = 2.5


KNOWN = 10


ROOT = Path(__file__).parents[2]


@dataclass
class Observed:
    """What one phase showed of one version."""

    answers: list[Answer]
    others: list[float]
    load: float
    peak: int
    rss_mb: float

    def breaches(self, promise: Promise) -> list[str]:
        """Where the promise was not kept, in words."""
        found = []
        kept = [
            each
            for each in self.answers
            if each.kind in promise.answers and each.seconds <= promise.within_s
        ]
        if len(kept) < promise.share * len(self.answers):
            found.append(f"{len(kept)}/{len(self.answers)} as promised ({self.summary()})")
        worst = max(self.others, default=0.0)
        if worst > promise.others_s:
            found.append(f"other callers waited {worst:.2f} s")
        if promise.load is not None and self.load > promise.load:
            found.append(f"load × {self.load:.2f}")
        if promise.peak is not None and self.peak > promise.peak:
            found.append(f"{self.peak} calls at once")
        if promise.rss_mb is not None and self.rss_mb > promise.rss_mb:
            grown = "nobody to ask" if self.rss_mb > 1e6 else f"{self.rss_mb:.0f} MB more memory"
            found.append(grown)
        return found

    def summary(self) -> str:
        counts: dict[str, int] = {}
        for each in self.answers:
            counts[each.kind] = counts.get(each.kind, 0) + 1
        slowest = max((each.seconds for each in self.answers), default=0.0)
        kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items()))
        return f"{kinds}; slowest {slowest:.2f} s"


@dataclass
class Result:
    """What a mode did to one version: no breach means that the promise was kept."""

    mode: Mode
    version: str
    breaches: list[str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    late_s: float = 0.0
    stalled: float = 0.0

    def is_doubtful(self, late_s: float, stalled: float) -> bool:
        """Whether the machine was too busy to say something of the version."""
        return self.late_s > late_s or self.stalled > stalled

    @property
    def kept(self) -> bool:
        return not self.breaches


class World:
    """The dependencies, the endpoint and the dashboard of one mode and version."""

    def __init__(self, mode: Mode, version: str, redis_port: int, directory: Path) -> None:
        self.mode, self.version = mode, version
        self.prefix = secrets.token_hex(4)
        self.cache = CacheProxy(redis_port)
        self.redis = redis.asyncio.Redis(port=redis_port)
        self.dns = NameServer()
        self.users, self.social, self.store = (Dependency(k) for k in ("users", "social", "social"))
        n = 3 if "instances" in mode.setup else 1
        self.posts = [Dependency("posts") for _ in range(n)]
        self.silent = Dependency("users")
        self.dashboard: FakeDashboard | None = None
        self.listening = socket.socket()
        self.directory = directory
        self.processes: list[subprocess.Popen[bytes]] = []
        self.turn = 1000
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in stop

    async def start(self) -> None:
        setup, ca = self.mode.setup, ""
        if "tls" in setup:
            ca, good, expired = certificates.contexts(self.directory)
            self.posts[0].tls, self.posts[0].expired = good, expired
        for each in (self.cache, self.dns, self.users, self.social, self.store, *self.posts):
            await each.start()
        await self.silent.start()
        scheme = "https" if "tls" in setup else "http"
        host = "posts.shop" if "names" in setup else "127.0.0.1"
        url, token = "", ""
        if "dashboard" in setup:
            self.dashboard = FakeDashboard()
            await asyncio.to_thread(self.dashboard.start)
            url, token = self.dashboard.url, self.dashboard.token
        elif "dashboard down" in setup:
            await self.silent.stop()
            url, token = f"ws://127.0.0.1:{self.silent.port}", "token"
        elif "dashboard silent" in setup:
            self.silent.fault = Fault("hang")
            url, token = f"ws://127.0.0.1:{self.silent.port}", "token"
        self.listening.bind(("127.0.0.1", 0))
        self.listening.listen(256)
        self.config = Config(
            self.version,
            {
                "users": [f"http://127.0.0.1:{self.users.port}"],
                "posts": [f"{scheme}://{host}:{each.port}" for each in self.posts],
                "social": [f"http://127.0.0.1:{self.social.port}"],
                "store": [f"http://127.0.0.1:{self.store.port}"],
            },
            self.cache.port,
            self.dns.port,
            self.prefix,
            ca=ca,
            dashboard=url,
            token=token,
            warms_before_fork="fork" in setup,
        )
        self.launch()
        await self.until_up()

    async def warm_up(self) -> None:
        """Ask for every known user until each has come whole: the cold start of a process on a busy
        machine is no part of a mode."""
        until = time.monotonic() + 60
        for user_id in range(1, KNOWN + 1):
            while (await self.ask(f"/profile/{user_id}", user_id)).kind != COMPLETE:
                if time.monotonic() > until:
                    raise TimeoutError(f"the {self.version} endpoint did not get well")
                await asyncio.sleep(0.2)

    def launch(self) -> None:
        fd = self.listening.fileno()
        command = [sys.executable, "-m", "tests.failure_modes.endpoint", str(fd)]
        self.processes.append(
            subprocess.Popen(
                [*command, msgspec.json.encode(self.config).decode()],
                pass_fds=(fd,),
                cwd=ROOT,
                stdout=subprocess.DEVNULL,
                stderr=self.log,
                env={**os.environ, "NO_PROXY": "*"},
            )
        )

    def log_text(self) -> str:
        """What the endpoint's processes wrote to stderr."""
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    async def until_up(self) -> None:
        """Wait until the process launched last answers."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            answer = await self.ask("/other", patience_s=2.0)
            if answer.status == 200 and answer.body["process"] == self.processes[-1].pid:
                return
            await asyncio.sleep(0.05)
        raise TimeoutError(f"the {self.version} endpoint did not start")

    async def stop(self) -> None:
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await asyncio.to_thread(process.wait)
        self.listening.close()
        self.log.close()
        for each in (self.cache, self.dns, self.users, self.social, self.store, *self.posts):
            await each.stop()
        await self.silent.stop()
        await self.redis.aclose()
        if self.dashboard is not None:
            await asyncio.to_thread(self.dashboard.stop)

    async def ask(
        self,
        path: str,
        user_id: int = 0,
        *,
        headers: str = "",
        patience_s: float = PATIENCE_S,
    ) -> Answer:
        """One request on a connection of its own; the caller leaves after `patience_s`."""
        began = time.monotonic()
        status, body, writer = 0, None, None
        try:
            async with asyncio.timeout(patience_s):
                reader, writer = await asyncio.open_connection(*self.listening.getsockname())
                writer.write(f"GET {path} HTTP/1.1\r\nHost: shop\r\n{headers}\r\n".encode())
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                body = json.loads(await reader.readexactly(length))
                status = int(head.split(b" ", 2)[1])
        except (OSError, TimeoutError, EOFError, ValueError, IndexError):
            status = 0
        finally:
            if writer is not None:
                writer.transport.abort()
        return Answer(user_id, status, body, time.monotonic() - began)

    # -- Phases ----------------------------------------------------------------------------------

    def watched(self) -> list[Dependency]:
        named = {"users": self.users, "social": self.social}
        return [named[self.mode.watched]] if self.mode.watched in named else self.posts

    async def run(self, phase: Phase) -> Observed:
        rss = await self.rss() if phase.promise and phase.promise.rss_mb else 0.0
        for name, fault in phase.faults.items():
            await self.behave(name, fault)
        if phase.act == "restart":
            self.launch()
            await self.until_up()
        acting = asyncio.create_task(self.act(phase.act)) if phase.act else None
        await asyncio.sleep(phase.settle_s)
        watched = self.watched()
        before = sum(each.requests for each in watched)
        for each in watched:
            each.peak = each.in_flight
        asked, others = [], []
        for n in range(phase.requests):
            asked.append(asyncio.create_task(self.profile(phase, n)))
            if n % 8 == 4:
                others.append(asyncio.create_task(self.ask("/other")))
            await asyncio.sleep(phase.every_s)
        answers = await asyncio.gather(*asked)
        aside = await asyncio.gather(*others)
        if acting is not None:
            await acting
        load = (sum(each.requests for each in watched) - before) / phase.requests
        grown = (await self.rss() - rss) if rss else 0.0
        peak = max(each.peak for each in watched)
        return Observed(answers, [each.seconds for each in aside], load, peak, grown)

    async def profile(self, phase: Phase, n: int) -> Answer:
        if phase.users == "known":
            user_id = 1 + n % KNOWN
        elif phase.users == "same":
            user_id = 1
        else:
            self.turn += 1
            user_id = self.turn
        headers = f"Deadline-Ms: {phase.deadline_ms}\r\n" if phase.deadline_ms else ""
        patience = PATIENCE_S if phase.abandon_s is None else phase.abandon_s
        return await self.ask(f"/profile/{user_id}", user_id, headers=headers, patience_s=patience)

    async def rss(self) -> float:
        answer = await self.ask("/other")
        return float(answer.body["rss"]) if answer.body else 1e9

    async def behave(self, name: str, fault: Fault) -> None:
        places: dict[str, Any] = {
            "users": self.users,
            "social": self.social,
            "store": self.store,
            "cache": self.cache,
            "dns": self.dns,
            "posts": self.posts[0],
        }
        await places[name].behave(fault)

    async def act(self, act: str) -> None:
        word, _, value = act.partition(" ")
        process = self.processes[-1]
        if word == "clock":
            await self.ask(f"/clock?{float(value)}", patience_s=30.0)
        elif word == "poison":
            await asyncio.sleep(0)
            await self.poison()
        elif word == "pause":
            await asyncio.sleep(0.15)
            os.killpg(process.pid, signal.SIGSTOP)
            await asyncio.sleep(1.0)
            os.killpg(process.pid, signal.SIGCONT)
        elif act == "restart":
            await asyncio.sleep(0.15)
            os.kill(self.processes[-2].pid, signal.SIGTERM)
        elif self.dashboard is not None:
            await asyncio.to_thread(self.command, act)

    async def poison(self) -> None:
        """Write another user's entry over every entry of this endpoint, and rubbish over some."""
        keys = sorted([key async for key in self.redis.scan_iter(f"{self.prefix}:*")])
        for n, key in enumerate(keys):
            foreign = await self.redis.get(keys[n - 1])
            if foreign:
                await self.redis.set(key, b'{"us' if n % 2 else foreign, px=2_000)

    def command(self, act: str) -> None:
        dashboard = self.dashboard
        assert dashboard is not None
        if act.startswith("force"):
            seconds = float(act.partition(" ")[2] or 0)
            dashboard.force("posts", "forced_open", expires_in_s=seconds or None)
        elif act == "invalid policy":
            dashboard.set_policy("posts", failure_threshold=-3, nonsense=True)
        elif act == "stop dashboard":
            dashboard.stop()
        elif act == "restart dashboard":
            dashboard.stop()
            time.sleep(0.5)
            dashboard.start()
