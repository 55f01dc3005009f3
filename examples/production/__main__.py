"""`python -m examples.production [--serves] [--after database|dashboard] 'command'`: one line of
the Procfile.

Runs a shell command in the environment of the production shape once what it needs is up, starts it
again when it dies, and ends it on SIGTERM. A server (`--serves`) ends last: the others still
have something to store.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import IO

import httpx
import psycopg
import redis

from examples import parent_watchdog
from examples.demo.state import ROOT
from examples.production.state import BadPort, Production

_UP_S = 120.0
# honcho kills whatever has not ended five seconds after SIGTERM.
_OTHERS_END_S = 3.5
_PAUSE_S = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m examples.production", description=__doc__)
    parser.add_argument("--serves", action="store_true", help="ends after those it serves")
    parser.add_argument("--after", choices=tuple(_NEEDS), help="what must be up first")
    parser.add_argument("command", help="for the shell")
    options = parser.parse_args(arguments)
    if "TETHERED" in os.environ:
        parent_watchdog.hold_on_to_parent(grace_s=2 * _OTHERS_END_S)
    try:
        state = Production.of(os.environ)
        keeper = Keeper(state, options.command, options.serves)
        keeper.run(_NEEDS[options.after] if options.after else None)
    except (BadPort, TimeoutError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr, flush=True)
        return 1
    return 0


class Keeper:
    """Keeps one command running until SIGTERM or SIGINT."""

    def __init__(self, state: Production, command: str, serves: bool) -> None:
        self._state = state
        self._command = command
        self._serves = serves
        self._env = dict(state.environment(), PATH=_path())
        self._ended = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._end)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self._ended.set()

    def run(self, needed: Callable[[Production, Keeper], None] | None) -> None:
        """Until SIGTERM or SIGINT.

        Raises:
            TimeoutError: what it needs does not come up.
            subprocess.CalledProcessError: the dashboard's database cannot be prepared.
        """
        with self._running() as file:
            if needed is not None:
                needed(self._state, self)
            while not self._ended.is_set():
                self._child = self._start()
                while self._child.poll() is None and not self._ended.wait(0.1):
                    pass
                if self._child.poll() is not None and not self._ended.is_set():
                    code = self._child.returncode
                    print(f"ended ({code}); starting it again", flush=True)
                    self._ended.wait(_PAUSE_S)
            if self._serves:
                _until_alone(file)
            self._stop()

    def _start(self) -> subprocess.Popen[bytes]:
        # In a session of its own: a signal to our group must not reach it before we pass it on.
        return subprocess.Popen(
            ["/bin/sh", "-c", self._command],
            cwd=ROOT,
            env=self._env,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=parent_watchdog.end_with_parent,
        )

    @property
    def is_ended(self) -> bool:
        """Whether a signal has ended it."""
        return self._ended.is_set()

    def until(self, up: Callable[[], object], what: str) -> None:
        """Wait until `up` no longer raises, or until a signal ends it.

        Raises:
            TimeoutError: it raises for too long.
        """
        deadline = time.monotonic() + _UP_S
        while not self._ended.is_set():
            try:
                up()
                return
            except (OSError, psycopg.Error, redis.RedisError, httpx.HTTPError) as error:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{what} did not come up: {error}") from error
                self._ended.wait(0.1)

    def _stop(self) -> None:
        if self._child is not None and self._child.poll() is None:
            # PostgreSQL waits for its clients at SIGTERM; there are none that matter any more.
            self._child.send_signal(signal.SIGINT if self._serves else signal.SIGTERM)
            self._child.wait()

    @contextmanager
    def _running(self) -> Iterator[IO[str]]:
        """Let the servers know that somebody runs who uses them."""
        with (self._state.directory / "running.lock").open("a") as file:
            if not self._serves:
                fcntl.flock(file, fcntl.LOCK_SH)
            yield file


def _until_alone(file: IO[str]) -> None:
    """Wait until nobody runs who uses the servers, but not for ever."""
    deadline = time.monotonic() + _OTHERS_END_S
    while time.monotonic() < deadline:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(file, fcntl.LOCK_UN)
            return
        time.sleep(0.05)


def _path() -> str:
    """Where commands are found: beside this interpreter first."""
    return os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])


def _database(state: Production, keeper: Keeper) -> None:
    """PostgreSQL and Redis answer, and the first who is here brings the tables up to date."""
    keeper.until(lambda: psycopg.connect(state.database_url()).close(), "PostgreSQL")
    keeper.until(redis.Redis.from_url(state.bus_url()).ping, "Redis")
    if keeper.is_ended:
        return
    with (state.directory / "prepare.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with psycopg.connect(state.database_url()) as connection:
            row = connection.execute("SELECT to_regclass('django_migrations')").fetchone()
        if row == (None,):
            state.database.unlink(missing_ok=True)
        steps = state.stale()
        if steps:
            print("Preparing: " + " and ".join(steps) + " …", flush=True)
            module = "examples.production.prepare"
            subprocess.run(
                [sys.executable, "-m", module, *steps],
                cwd=ROOT,
                env=state.environment(),
                check=True,
            )
            state.prepared(steps)


def _dashboard(state: Production, keeper: Keeper) -> None:
    """The dashboard is ready, through the balancer."""

    def ready() -> None:
        httpx.get(f"{state.url}/readyz", trust_env=False, timeout=5.0).raise_for_status()

    keeper.until(ready, "The dashboard")
    if not keeper.is_ended:
        where = state.password("operator")
        print(f"the dashboard is at {state.url}; operator's password is in {where}", flush=True)


_NEEDS = {"database": _database, "dashboard": _dashboard}

if __name__ == "__main__":
    sys.exit(main())
