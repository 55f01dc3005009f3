"""Runs modes: a world of dependencies and one endpoint for each mode and version."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.failure_modes.modes import Mode
from tests.failure_modes.world import (
    AT_ONCE,
    KNOWN,
    VERSIONS,
    Result,
    World,
)


async def measure(mode: Mode, version: str, redis_port: int, directory: Path) -> Result:
    """Run one mode against one version."""
    result = Result(mode, version)
    world = World(mode, version, redis_port, directory)
    try:
        await world.start()
        warm = [world.ask(f"/profile/{n}", n, patience_s=20.0) for n in range(1, KNOWN + 1)]
        await asyncio.gather(*warm)
        for number, phase in enumerate(mode.phases, 1):
            seen = await world.run(phase)
            result.seen.append(seen.summary())
            if phase.promise is not None:
                result.breaches += [f"phase {number}: {x}" for x in seen.breaches(phase.promise)]
    except (OSError, TimeoutError) as error:
        result.breaches.append(f"not measured: {error}\n{world.log_text()[-1500:]}")
    finally:
        await world.stop()
    return result


async def measure_all(
    modes: tuple[Mode, ...], redis_port: int, directory: Path
) -> dict[tuple[str, str], Result]:
    """Every mode against every version, a few modes at once."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(mode: Mode) -> list[Result]:
        async with gate:
            found = await asyncio.gather(
                *(measure(mode, version, redis_port, directory) for version in VERSIONS)
            )
            return list(found)

    nested = await asyncio.gather(*map(one, modes))
    return {(each.mode.name, each.version): each for row in nested for each in row}
