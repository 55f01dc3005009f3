"""The processes that a demo starts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from typing import IO

import httpx

from examples.demo.state import ROOT

END_S = 5.0


async def spawn(
    module: str,
    *arguments: str,
    env: dict[str, str],
    output: IO[bytes] | None = None,
    piped: bool = False,
    fds: tuple[int, ...] = (),
) -> asyncio.subprocess.Process:
    """Start one of our modules in a session of its own, so that Ctrl-C reaches only us."""
    to: IO[bytes] | int | None = asyncio.subprocess.PIPE if piped else output
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        cwd=ROOT,
        env=env,
        stdin=asyncio.subprocess.PIPE,
        stdout=to,
        stderr=to if output is None and not piped else asyncio.subprocess.STDOUT,
        pass_fds=fds,
        start_new_session=True,
    )


async def end(child: asyncio.subprocess.Process, patience_s: float = END_S) -> None:
    """End a child: asked first, killed with its process group if it does not listen."""
    with contextlib.suppress(ProcessLookupError):
        child.terminate()
    try:
        await asyncio.wait_for(child.wait(), patience_s)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


async def until_healthy(
    base: str,
    patience_s: float,
    child: Callable[[], asyncio.subprocess.Process | None],
    path: str = "/healthz",
) -> None:
    """Return once `path` answers 200.

    Raises:
        TimeoutError: it does not.
        ChildProcessError: the process that should answer has ended.
    """
    async with asyncio.timeout(patience_s), httpx.AsyncClient(trust_env=False) as client:
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if (await client.get(base + path)).status_code == 200:
                    return
            process = child()
            if process is not None and process.returncode is not None:
                raise ChildProcessError(process.returncode)
            await asyncio.sleep(0.05)


def how(code: int) -> str:
    """How a process ended.

    >>> how(-9), how(3)
    ('killed by SIGKILL', 'exit code 3')
    """
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def python() -> str:
    """The interpreter as one would type it from the project's root."""
    with contextlib.suppress(ValueError):
        relative = os.path.relpath(sys.executable, ROOT)
        if not relative.startswith(".."):
            return relative
    return sys.executable
