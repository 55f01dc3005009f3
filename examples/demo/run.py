"""Runs a demo: prepares, starts, watches over and ends the dashboard and the shop."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable

from examples.demo.card import card
from examples.demo.children import end, how, spawn, until_healthy
from examples.demo.state import SERVICES, State
from examples.shop.fleet import DIRECTOR_PORT
from examples.shop.supervisor import address, listen

_UP_S = 30.0

Say = Callable[[str], None]


class Failed(Exception):
    """The demo cannot run, and why, in words for people."""


class Demo:
    """One demo, from the first step to the last. `say` gets each line for the terminal.

    The dashboard and the shop do not depend on each other: when the dashboard dies it stays dead
    until SIGUSR1 asks for it again (`make dashboard` sends it), and the shop goes on meanwhile.
    When the shop's supervisor dies, it is started again.
    """

    def __init__(self, state: State, say: Say, with_shop: bool = True) -> None:
        self._state = state
        self._say = say
        self._director = listen(DIRECTOR_PORT) if with_shop else None
        self._dashboard: asyncio.subprocess.Process | None = None
        self._shop: asyncio.subprocess.Process | None = None
        self._ended = asyncio.Event()
        self._wanted = asyncio.Event()

    async def run(self) -> None:
        """Run until a signal ends it.

        Raises:
            Failed: it could not be started.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._ended.set)
        loop.add_signal_handler(signal.SIGUSR1, self._wanted.set)
        running = asyncio.create_task(self._start_and_watch())
        ended = asyncio.create_task(self._ended.wait())
        try:
            await asyncio.wait({running, ended}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
        finally:
            running.cancel()
            ended.cancel()
            await self._end()

    # -- Starting --------------------------------------------------------------------------------

    async def _start_and_watch(self) -> None:
        began = time.monotonic()
        self._state.down.unlink(missing_ok=True)
        await prepare(self._state, self._say)
        self._dashboard = await self._spawn_dashboard()
        await self._until_dashboard_is_up(self._dashboard)
        self._say(f"The dashboard is up after {time.monotonic() - began:.1f} s.")
        if self._director is not None:
            self._shop = await self._spawn_shop(self._director)
            await self._until_shop_is_up(address(self._director))
        self._say(card(self._state, address(self._director) if self._director else None))
        await asyncio.gather(self._watch_dashboard(), self._watch_shop())

    async def _spawn_dashboard(self) -> asyncio.subprocess.Process:
        demo_url = address(self._director) if self._director else ""
        with self._state.log.open("wb") as log:
            return await spawn(
                "examples.demo.serve",
                str(self._state.port),
                env=self._state.environment(demo_url),
                output=log,
            )

    async def _spawn_shop(self, director: socket.socket) -> asyncio.subprocess.Process:
        env = dict(os.environ, SWITCHGEAR_URL=self._state.url)
        for service in SERVICES:
            name = "SWITCHGEAR_TOKEN_" + service.upper().replace("-", "_")
            env[name] = self._state.token(service).read_text()
        fd = director.fileno()
        where = ("--dir", str(self._state.directory), "--director-fd", str(fd), "--tethered")
        return await spawn("examples.shop", *where, env=env, fds=(fd,))

    async def _until_dashboard_is_up(self, dashboard: asyncio.subprocess.Process) -> None:
        try:
            await until_healthy(self._state.url, _UP_S, lambda: dashboard)
        except (TimeoutError, ChildProcessError):
            tail = self._state.log.read_text(errors="replace").splitlines()[-15:]
            raise Failed(
                "\n".join(["The dashboard did not come up. The end of its log:", *tail])
            ) from None

    async def _until_shop_is_up(self, director: str) -> None:
        try:
            await until_healthy(director, _UP_S, lambda: self._shop)
        except (TimeoutError, ChildProcessError):
            raise Failed("The shop did not come up.") from None

    # -- Watching --------------------------------------------------------------------------------

    async def _watch_dashboard(self) -> None:
        while self._dashboard is not None:
            code = await self._dashboard.wait()
            self._wanted.clear()
            self._state.down.touch()
            self._say(
                f"The dashboard ended ({how(code)}). The shop goes on without it.\n"
                "Bring it back with:  make dashboard"
            )
            await self._wanted.wait()
            self._dashboard = await self._spawn_dashboard()
            self._state.down.unlink(missing_ok=True)
            try:
                await self._until_dashboard_is_up(self._dashboard)
            except Failed as error:
                self._say(str(error))
            else:
                self._say(f"The dashboard is back at {self._state.url}")

    async def _watch_shop(self) -> None:
        while self._shop is not None and self._director is not None:
            code = await self._shop.wait()
            self._say(f"The shop ended ({how(code)}); starting it again.")
            await asyncio.sleep(1.0)
            self._shop = await self._spawn_shop(self._director)

    # -- Ending ----------------------------------------------------------------------------------

    async def _end(self) -> None:
        """End the shop, then the dashboard: so the last reports arrive, and nobody complains."""
        self._say("Stopping …")
        for child in (self._shop, self._dashboard):
            if child is not None:
                await end(child)


async def prepare(state: State, say: Say) -> None:
    """Bring a demo's database and static files up to date, if they are not.

    Raises:
        Failed: the dashboard's own commands failed.
    """
    steps = state.stale()
    if not steps:
        return
    say("Preparing: " + " and ".join(steps) + " …")
    child = await spawn(
        "examples.demo.prepare", str(state.port), *steps, env=state.environment(), piped=True
    )
    output = await child.stdout.read() if child.stdout else b""
    if await child.wait():
        text = output.decode(errors="replace").strip()
        raise Failed(f"Preparing the dashboard failed:\n{text}")
    state.prepared(steps)
