"""The shop as a whole: its processes under one supervisor, and the director beside it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from starlette.applications import Starlette

from examples.shop.assignment import DEPENDENCIES
from examples.shop.director import Director
from examples.shop.incident import Incident
from examples.shop.serve import server
from examples.shop.supervisor import Process, Say, Supervisor, address, listen

DIRECTOR_PORT = 8247  # 2:47
_FIRST_PORT = 8201
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class FleetSize:
    """The size of the example fleet.

    `rate` is requests a second, `pace` how fast the incident plays. Without `fixed_ports` every
    port is any free one."""

    profile_apis: int = 4
    webs: int = 2
    rate: float = 60.0
    pace: float = 1.0
    fixed_ports: bool = True


class Addresses(msgspec.Struct, frozen=True):
    """Where a running shop is, for those who look for it: kept in `shop.json`."""

    pid: int
    director: str
    peers: dict[str, list[str]]


class _Server(uvicorn.Server):
    """uvicorn beside other things in one loop: the signals are not its business."""

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        return nullcontext()


def processes_of(shape: FleetSize) -> list[Process]:
    """Every process of the fleet, with its socket bound."""
    names = [(kind, kind) for kind in DEPENDENCIES]
    names += [("profile-api", f"profile-api-{n + 1}") for n in range(shape.profile_apis)]
    names += [("web", f"web-{n + 1}") for n in range(shape.webs)]
    names += [("load", "load")]
    return [
        Process(kind, name, listen(_FIRST_PORT + index if shape.fixed_ports else 0))
        for index, (kind, name) in enumerate(names)
    ]


async def run(
    shape: FleetSize, directory: Path, say: Say, listening: socket.socket | None = None
) -> None:
    """Run the shop until a signal says otherwise; `shop.json` in `directory` tells where it is.

    `listening` is a socket for the director, where somebody has bound it already. The director
    answers once every process does.

    Raises:
        TimeoutError: some process does not come up.
    """
    supervisor = Supervisor(processes_of(shape), shape.rate, directory / "agents", say)
    listening = listening or listen(DIRECTOR_PORT if shape.fixed_ports else 0)
    director = Director(
        supervisor.peers,
        Incident(shape.pace),
        lambda: [process.status() for process in supervisor.processes],
        os.environ.get("SWITCHGEAR_URL", ""),
    )
    ended = asyncio.Event()
    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    supervisor.start()
    try:
        await _unless(ended, supervisor.ready())
        if not ended.is_set():
            say(f"{len(supervisor.processes)} processes serve")
            found = Addresses(os.getpid(), address(listening), supervisor.peers)
            async with _serving(director.app(), listening):
                with announced(found, directory):
                    await ended.wait()
    finally:
        await supervisor.stop()


@contextlib.asynccontextmanager
async def _serving(app: Starlette, listening: socket.socket) -> AsyncIterator[None]:
    page = _Server(server(app).config)
    task = asyncio.create_task(page.serve(sockets=[listening]))
    try:
        yield
    finally:
        page.should_exit = True
        await task


@contextlib.contextmanager
def announced(found: Addresses, directory: Path) -> Iterator[None]:
    """Let others find the shop meanwhile."""
    path = directory / "shop.json"
    draft = path.with_suffix(".new")
    draft.write_bytes(msgspec.json.encode(found))
    draft.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


async def _unless(ended: asyncio.Event, coroutine: Coroutine[Any, Any, None]) -> None:
    """Await `coroutine`, or stop awaiting it once `ended` is set."""
    task = asyncio.create_task(coroutine)
    end = asyncio.create_task(ended.wait())
    await asyncio.wait({task, end}, return_when=asyncio.FIRST_COMPLETED)
    end.cancel()
    if not task.done():
        task.cancel()
    elif error := task.exception():
        raise error
