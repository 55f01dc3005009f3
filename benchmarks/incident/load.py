"""Open-loop load: Poisson arrivals that wait for nobody, latency from the intended start."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from benchmarks.incident.database import SERVICE_S
from benchmarks.incident.wire import Pool

PATIENCE_S = 2.0
SLO_S = 1.0


class Phase(NamedTuple):
    """A stretch of the script: arrivals relative to the normal rate, share of the workers."""

    name: str
    seconds: float
    rate: float
    share: float = 1.0


class Sample(NamedTuple):
    """One request: when it was meant to start, from the beginning; its latency from then."""

    at: float
    phase: int
    latency: float
    outcome: str  # good, degraded, late, error


@dataclass
class Run:
    """Everything that one version showed in one script."""

    version: str
    phases: Sequence[Phase]
    samples: list[Sample] = field(default_factory=list)
    queries: list[int] = field(default_factory=list)
    lateness: list[float] = field(default_factory=list)


@contextmanager
def process(module: str, *args: object) -> Iterator[int]:
    """A process that serves an inherited socket; its port."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1024)
        fd = listening.fileno()
        command = [sys.executable, "-m", module, str(fd), *map(str, args)]
        running = subprocess.Popen(command, pass_fds=(fd,))
        try:
            yield listening.getsockname()[1]
        finally:
            running.terminate()
            running.wait()


def workers_for(rate: float, used: float) -> int:
    """As many workers as `rate` queries a second keep busy for the share `used`, or fewer."""
    return max(1, int(rate * SERVICE_S / used))


def rate_for(workers: int, used: float) -> float:
    """The queries a second that keep the share `used` of these workers busy."""
    return workers / SERVICE_S * used


async def play(version: str, phases: Sequence[Phase], rate: float, workers: int, seed: int) -> Run:
    """Play a script against one version; its users were all asked for once before."""
    with (
        process("benchmarks.incident.database", workers) as database,
        process("benchmarks.incident.service", version, database, workers) as port,
    ):
        control = Pool(database, 1)
        entry = Pool(port, 20_000)
        run = Run(version, phases)
        rng = random.Random(seed)
        users = int(rate * 4)
        await _warm(entry, users, workers)
        began = time.monotonic()
        at = 0.0
        tasks = []
        for number, phase in enumerate(phases):
            until = at + phase.seconds
            await control.ask({"share": phase.share})
            before = (await control.ask({"load": 1}))["queries"]
            while True:
                at += rng.expovariate(rate * phase.rate)
                if at >= until:
                    at = until
                    break
                if (wait := began + at - time.monotonic()) > 0:
                    await asyncio.sleep(wait)
                run.lateness.append(max(0.0, time.monotonic() - began - at))
                tasks.append(asyncio.create_task(_one(run, entry, began, at, number, rng, users)))
            run.queries.append((await control.ask({"load": 1}))["queries"] - before)
        await asyncio.gather(*tasks)
        return run


async def _warm(entry: Pool, users: int, workers: int) -> None:
    until = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError):
            await entry.ask({"id": 0})
            break
        if time.monotonic() > until:
            raise TimeoutError("the service did not start")
        await asyncio.sleep(0.05)
    slots = asyncio.Semaphore(max(1, workers - 1))

    async def one(user_id: int) -> None:
        async with slots:
            with contextlib.suppress(OSError):
                await entry.ask({"id": user_id})

    await asyncio.gather(*map(one, range(users)))


async def _one(
    run: Run, entry: Pool, began: float, at: float, phase: int, rng: random.Random, users: int
) -> None:
    user_id = rng.randrange(users)
    outcome = "error"
    try:
        async with asyncio.timeout_at(asyncio.get_running_loop().time() + PATIENCE_S):
            answer = await entry.ask({"id": user_id})
        if answer["user"]["id"] == user_id:
            outcome = "degraded" if answer.get("degraded") else "good"
    except (OSError, TimeoutError, KeyError, TypeError):
        pass
    latency = time.monotonic() - began - at
    if outcome != "error" and latency > SLO_S:
        outcome = "late"
    run.samples.append(Sample(at, phase, latency, outcome))
