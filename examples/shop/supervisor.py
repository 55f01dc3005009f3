"""Starts the fleet, starts again whatever dies, and ends it all together."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from examples.shop.assignment import SERVICES, Assignment

ROOT = Path(__file__).resolve().parents[2]
_LONGEST_PAUSE_S = 5.0
_LONG_LIFE_S = 10.0
_END_S = 3.0

Say = Callable[[str], None]


def listen(port: int) -> socket.socket:
    """A listening socket on that port of 127.0.0.1, or on any free one where it is taken.

    It listens from now on, so that a client that connects before its process is up waits a moment
    instead of being refused.
    """
    try:
        return socket.create_server(("127.0.0.1", port), backlog=512)
    except OSError:
        return socket.create_server(("127.0.0.1", 0), backlog=512)


def address(listening: socket.socket) -> str:
    """Where a socket listens, as a base address."""
    host, port = listening.getsockname()
    return f"http://{host}:{port}"


@dataclass
class Process:
    """One process of the fleet, over all its restarts."""

    kind: str
    name: str
    listening: socket.socket
    pid: int | None = None
    restarts: int = 0
    child: asyncio.subprocess.Process | None = field(default=None, repr=False)

    def status(self) -> dict[str, Any]:
        """What the director's page shows of it."""
        return {
            "kind": self.kind,
            "name": self.name,
            "url": address(self.listening),
            "pid": self.pid,
            "restarts": self.restarts,
        }


class Supervisor:
    """Keeps `processes` running. `say` gets a line whenever one was started again.

    Args:
        rate: requests a second that the load asks for.
        state: where agents keep the last desired state they heard of.
    """

    def __init__(self, processes: list[Process], rate: float, state: Path, say: Say) -> None:
        self.processes = processes
        self._rate = rate
        self._state = state
        self._say = say
        self._ending = False
        self._keepers: list[asyncio.Task[None]] = []
        self.peers: dict[str, list[str]] = {}
        for process in processes:
            self.peers.setdefault(process.kind, []).append(address(process.listening))

    def start(self) -> None:
        """Start every process."""
        self._keepers = [asyncio.create_task(self._keep(process)) for process in self.processes]

    async def ready(self, patience_s: float = 20.0) -> None:
        """Return once every process answers.

        Raises:
            TimeoutError: one does not.
        """
        bases = [address(process.listening) for process in self.processes]
        async with asyncio.timeout(patience_s), httpx.AsyncClient(trust_env=False) as client:
            await asyncio.gather(*(_until_healthy(client, base) for base in bases))

    async def stop(self) -> None:
        """End every process: asked first, killed if it does not listen. The load goes first, so
        that the others have nothing left to answer."""
        self._ending = True
        incarnations = list(zip(self.processes, self._keepers, strict=True))
        await _end([incarnation for incarnation in incarnations if incarnation[0].kind == "load"])
        await _end([incarnation for incarnation in incarnations if incarnation[0].kind != "load"])
        for process in self.processes:
            process.listening.close()

    async def _keep(self, process: Process) -> None:
        """Run a process until the end; the pause before a restart doubles while it ends soon."""
        pause = 0.1
        while not self._ending:
            born = time.monotonic()
            child = process.child = await self._spawn(process)
            process.pid = child.pid
            code = await child.wait()
            if self._ending:
                return
            process.restarts += 1
            self._say(f"{process.name} (pid {child.pid}) ended with {code}; starting it again")
            pause = 0.1 if time.monotonic() - born > _LONG_LIFE_S else pause * 2
            await asyncio.sleep(min(pause, _LONGEST_PAUSE_S))

    async def _spawn(self, process: Process) -> asyncio.subprocess.Process:
        fd = process.listening.fileno()
        assignment = Assignment(process.kind, process.name, fd, self.peers, self._rate)
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "examples.shop.serve",
            process.name,
            cwd=ROOT,
            env=environment(process.kind, process.name, self._state, os.environ)
            | assignment.to_environment(),
            stdin=asyncio.subprocess.PIPE,
            pass_fds=(fd,),
            start_new_session=True,
        )


def environment(kind: str, name: str, state: Path, ours: Mapping[str, str]) -> dict[str, str]:
    """The variables of a process: ours, without the secrets of others.

    Only services that have a token hear of the dashboard: SWITCHGEAR_TOKEN_PROFILE_API for
    profile-api, SWITCHGEAR_TOKEN_WEB for web.
    """
    env = {key: value for key, value in ours.items() if not key.startswith("SWITCHGEAR_")}
    url = ours.get("SWITCHGEAR_URL")
    token = ours.get("SWITCHGEAR_TOKEN_" + kind.upper().replace("-", "_"))
    if url and token and kind in SERVICES:
        env |= {
            "SWITCHGEAR_URL": url,
            "SWITCHGEAR_TOKEN": token,
            "SWITCHGEAR_SERVICE": kind,
            "SWITCHGEAR_INSTANCE": name,
            "SWITCHGEAR_STATE_DIR": str(state),
        }
    return env


async def _end(incarnations: list[tuple[Process, asyncio.Task[None]]]) -> None:
    """End some processes and the tasks that keep them."""
    for process, _ in incarnations:
        _signal(process.child, signal.SIGTERM)
    if incarnations:
        await asyncio.wait([keeper for _, keeper in incarnations], timeout=_END_S)
    for process, keeper in incarnations:
        _signal(process.child, signal.SIGKILL)
        keeper.cancel()


def _signal(child: asyncio.subprocess.Process | None, number: signal.Signals) -> None:
    if child is not None:
        with contextlib.suppress(ProcessLookupError):
            child.send_signal(number)


async def _until_healthy(client: httpx.AsyncClient, base: str) -> None:
    while True:
        with contextlib.suppress(httpx.HTTPError):
            if (await client.get(f"{base}/healthz", timeout=5.0)).status_code == 200:
                return
        await asyncio.sleep(0.05)
