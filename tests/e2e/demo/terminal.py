"""A real terminal: tmux, whose screen a test reads and whose keys it presses."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.examples.running import ROOT, eventually

LONG_S = 30.0
PROMPT = "ready> "


class Terminal:
    """One window with a shell."""

    def __init__(self, home: Path, env: Mapping[str, str], columns: int, rows: int) -> None:
        assert shutil.which("tmux"), "these tests need tmux: apt-get install tmux"
        # A server of our own: no configuration, and nobody else's sessions.
        self._tmux = ["tmux", "-L", f"switchgear-{uuid.uuid4().hex[:8]}", "-f", "/dev/null"]
        size = ["-x", str(columns), "-y", str(rows)]
        own = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **env}
        shell = shlex.join(["env", f"PS1={PROMPT}", "bash", "--norc", "--noprofile"])
        start = ["new-session", "-d", "-s", "main", *size, "-c", str(home), shell]
        subprocess.run([*self._tmux, *start], check=True, env=own)

    def type(self, text: str) -> None:
        """Type a line, and Enter."""
        self._do("send-keys", "-t", "main", "-l", text)
        self._do("send-keys", "-t", "main", "Enter")

    def press(self, key: str) -> None:
        """Press a key, such as C-c."""
        self._do("send-keys", "-t", "main", key)

    def screen(self) -> str:
        """What is on the screen."""
        return self._do("capture-pane", "-t", "main", "-p")

    def clear(self) -> None:
        """Empty the screen."""
        self.type("clear")
        eventually(lambda: self.screen().strip() == PROMPT.strip(), LONG_S, self.screen)

    def see(self, *texts: str) -> str:
        """Wait until all of these are on the screen; returns it."""

        def look() -> str | None:
            shown = self.screen()
            return shown if all(each in shown for each in texts) else None

        return eventually(look, LONG_S, self.screen)

    def close(self) -> None:
        """End the shell with everything in it."""
        subprocess.run([*self._tmux, "kill-server"], check=False)

    def _do(self, *arguments: str) -> str:
        done = subprocess.run([*self._tmux, *arguments], check=True, capture_output=True, text=True)
        return done.stdout


@contextmanager
def terminal(
    home: Path, env: Mapping[str, str], columns: int = 120, rows: int = 40
) -> Iterator[Terminal]:
    """A terminal in which `switchgear` is the command of this repository."""
    folder = home / "bin"
    folder.mkdir(exist_ok=True)
    script = folder / "switchgear"
    python = ROOT / ".venv/bin/python"
    script.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {python} -m breakers.cli "$@"\n')
    script.chmod(0o755)
    opened = Terminal(
        home, {"PATH": f"{folder}:{os.environ['PATH']}", **env}, columns=columns, rows=rows
    )
    try:
        opened.see(PROMPT.strip())
        yield opened
    finally:
        opened.close()
