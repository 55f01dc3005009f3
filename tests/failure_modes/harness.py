"""Runs modes in batches: worlds of dependencies and one endpoint for each mode and version.

A batch is started as a whole before anything is measured in it, since a process that starts takes
as much of a core as a hundred requests.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tests.failure_modes.modes import Mode
from tests.failure_modes.world import AT_ONCE, VERSIONS, Result, World

# A measurement that was not kept is taken again, alone, where this process ran so late, or where
# runnable processes had to wait for a core for such a share of the time: then it says something of
# the machine. So many at most.
LATE_S: Final = 0.08
STALLED: Final = 0.5
REPEATED: Final = 30
_PRESSURE: Final = Path("/proc/pressure/cpu")


async def measure_all(
    modes: Sequence[Mode], redis_port: int, directory: Path, keep: Callable[[Result], None]
) -> None:
    """Every mode against every version; `keep` is told each result."""
    left = REPEATED
    for first in range(0, len(modes), AT_ONCE):
        batch = modes[first : first + AT_ONCE]
        wanted = [(mode, version) for mode in batch for version in VERSIONS]
        for found in await measure(wanted, redis_port, directory):
            result = found
            if not result.kept and result.is_doubtful(LATE_S, STALLED) and left:
                left -= 1
                pair = [(result.mode, result.version)]
                (result,) = await measure(pair, redis_port, directory)
            keep(result)


async def measure(
    wanted: Sequence[tuple[Mode, str]], redis_port: int, directory: Path
) -> list[Result]:
    """Run modes against versions, side by side."""
    worlds = [World(mode, version, redis_port, directory) for mode, version in wanted]
    results = [Result(*pair) for pair in wanted]
    pairs = list(zip(worlds, results, strict=True))
    try:
        await asyncio.gather(*(_start(world, result) for world, result in pairs))
        await asyncio.gather(*(_play(world, result) for world, result in pairs if result.kept))
    finally:
        await asyncio.gather(*(world.stop() for world in worlds), return_exceptions=True)
    return results


async def _start(world: World, result: Result) -> None:
    try:
        await world.start()
        await world.warm_up()
    except (OSError, TimeoutError) as error:
        result.breaches.append(f"not measured: {error}\n{world.log_text()[-1500:]}")


async def _play(world: World, result: Result) -> None:
    watch = asyncio.create_task(_watch_lateness(result))
    began, stalled = time.monotonic(), _stalled_s()
    try:
        for number, phase in enumerate(result.mode.phases, 1):
            seen = await world.run(phase)
            result.seen.append(seen.summary())
            judged = result.version == "switchgear" or not phase.ours_alone
            if phase.promise is not None and judged:
                result.breaches += [f"phase {number}: {x}" for x in seen.breaches(phase.promise)]
    except (OSError, TimeoutError) as error:
        result.breaches.append(f"not measured: {error}\n{world.log_text()[-1500:]}")
    finally:
        watch.cancel()
        result.stalled = (_stalled_s() - stalled) / (time.monotonic() - began)


def _stalled_s() -> float:
    """Seconds for which some process waited for a core, since the start of the machine."""
    if not _PRESSURE.exists():
        return 0.0
    return int(_PRESSURE.read_text().split("total=")[1].split()[0]) / 1e6


async def _watch_lateness(result: Result) -> None:
    """Note by how much the loop of this process runs late, at most."""
    while True:
        due = time.monotonic() + 0.02
        await asyncio.sleep(0.02)
        result.late_s = max(result.late_s, time.monotonic() - due)
