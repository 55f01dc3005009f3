"""Real processes under test: started, listened to, and looked for afterwards."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import httpx

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
logging.getLogger("httpx").setLevel(logging.WARNING)
http = httpx.Client(trust_env=False, timeout=10.0)


class Running:
    """A process of ours with everything it starts, which all carry the same mark."""

    def __init__(self, *arguments: str, **env: str) -> None:
        self.mark = uuid.uuid4().hex
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT,
            env={**os.environ, "MARK_OF_TEST": self.mark, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def line(self, pattern: str, within_s: float = 20.0) -> re.Match[str]:
        """The first line so far, or to come, in which `pattern` is found."""

        def search() -> re.Match[str] | None:
            return next((found for each in self.lines if (found := re.search(pattern, each))), None)

        return eventually(search, within_s, lambda: "\n".join(self.lines))

    def processes(self) -> dict[int, str]:
        """Every living process with the mark: pid and command line."""
        found = {}
        for path in Path("/proc").iterdir():
            try:
                if self.mark.encode() in (path / "environ").read_bytes():
                    command = (path / "cmdline").read_bytes().decode()
                    found[int(path.name)] = command.replace("\0", " ").strip()
            except (OSError, ValueError):
                continue
        return {pid: command for pid, command in found.items() if command}

    def named(self, part: str) -> int:
        """The pid of the one process whose command line has `part` in it."""
        (pid,) = (pid for pid, command in self.processes().items() if part in command)
        return pid

    def kill_everything(self) -> None:
        """Leave nothing behind, however the test went."""
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def running(*arguments: str, **env: str) -> Iterator[Running]:
    """`python -m …` meanwhile."""
    process = Running(*arguments, **env)
    try:
        yield process
    finally:
        process.kill_everything()


def eventually(
    look: Callable[[], T | None], within_s: float, explain: Callable[[], object] = lambda: ""
) -> T:
    """What `look` returns as soon as it is true; it may raise meanwhile.

    A busy machine is slow, not wrong: three times as long is allowed as is expected.
    """
    until = time.monotonic() + 3 * within_s
    while True:
        try:
            if found := look():
                return found
        except (httpx.HTTPError, OSError, ValueError):
            found = None
        assert time.monotonic() < until, f"not within {within_s} s: {explain() or found!r}"
        time.sleep(0.05)
