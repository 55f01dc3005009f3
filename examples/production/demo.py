"""`make demo PROFILE=production`: the Procfile on free ports, and the card once all is up."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping

import msgspec

from examples.demo.card import card
from examples.demo.children import end, spawn, until_healthy
from examples.demo.run import Failed
from examples.production.state import Production, ports_of
from examples.shop.fleet import Addresses

_UP_S = 150.0
_TRIED = 50
# honcho itself gives its processes five seconds.
_END_S = 10.0
_TAIL = 25


def free_ports(env: Mapping[str, str]) -> dict[str, int]:
    """The ports of all processes: those asked for or the defaults, or the next that are free.

    Raises:
        BadPort: a variable names no port.
    """
    taken: set[int] = set()
    ports = {}
    for name, first in ports_of(env).items():
        for port in range(first, min(first + _TRIED, 65_536)):
            if port not in taken and _is_free(port):
                break
        taken.add(port)
        ports[name] = port
    return ports


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


class ProductionDemo:
    """One run of the Procfile under honcho. `say` gets each line for the terminal."""

    def __init__(self, state: Production, say: Callable[[str], None]) -> None:
        self._state = state
        self._say = say
        self._honcho: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Run until a signal ends it, or a process that nothing keeps alive ends.

        Raises:
            Failed: it could not be started, or ended by itself.
        """
        ended = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        running = asyncio.create_task(self._start_and_watch())
        signalled = asyncio.create_task(ended.wait())
        try:
            await asyncio.wait({running, signalled}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
        finally:
            running.cancel()
            signalled.cancel()
            self._say("Stopping …")
            if self._honcho is not None:
                await end(self._honcho, _END_S)

    async def _start_and_watch(self) -> None:
        began = time.monotonic()
        # A reader of this file finds the shop of before, if any.
        (self._state.directory / "shop.json").unlink(missing_ok=True)
        env = dict(
            os.environ,
            **{name: str(port) for name, port in self._state.ports.items()},
            DEMO_DIR=str(self._state.directory.parent),
            PYTHON=sys.executable,
            TETHERED="1",
        )
        arguments = ("start", "--no-colour")
        with self._state.log.open("wb") as log:
            self._honcho = await spawn("honcho", *arguments, env=env, output=log)
        try:
            await until_healthy(self._state.url, _UP_S, lambda: self._honcho, "/readyz")
            self._say(f"The dashboard is up after {time.monotonic() - began:.1f} s.")
            director = await self._director()
            await until_healthy(director, _UP_S, lambda: self._honcho)
        except (TimeoutError, ChildProcessError):
            raise Failed(self._why("The production shape did not come up.")) from None
        self._say(card(self._state, director))
        self._say(f"Logs of all its processes: {self._state.log}\n")
        await self._honcho.wait()
        raise Failed(self._why("The production shape ended."))

    async def _director(self) -> str:
        """Where the shop says that its director is."""
        path = self._state.directory / "shop.json"
        async with asyncio.timeout(_UP_S):
            while True:
                with contextlib.suppress(FileNotFoundError):
                    return msgspec.json.decode(path.read_bytes(), type=Addresses).director
                if self._honcho is None or self._honcho.returncode is not None:
                    raise ChildProcessError
                await asyncio.sleep(0.1)

    def _why(self, what: str) -> str:
        tail = self._state.log.read_text(errors="replace").splitlines()[-_TAIL:]
        return "\n".join([f"{what} The end of its log:", *tail])


def replaced_ports(ports: Mapping[str, int], env: Mapping[str, str]) -> list[str]:
    """A line for each port that was taken and replaced."""
    wanted = ports_of(env)
    return [
        f"Port {wanted[name]} ({name}) is taken; using {port}."
        for name, port in ports.items()
        if port != wanted[name]
    ]
