"""The dashboard, whole and real, with a synthetic fleet's frames on its bus.

`python -m benchmarks.wall.serve PORT BREAKERS`, in the environment of that dashboard.
"""

from __future__ import annotations

import asyncio
import sys
import time

import msgspec
import uvicorn

from benchmarks.wall.fleet import SyntheticFleet, tick_s
from dashboard.asgi import application
from dashboard.bus import bus
from dashboard.fleet.worker import FRAMES, WANTED

FULL_EVERY_S = 10.0


async def publish(breakers: int) -> None:
    """Tick like the fleet's worker: what changed each quarter of a second, all of it now and then
    and when somebody new asks."""
    fleet = SyntheticFleet(breakers)
    tick = tick_s(breakers)
    wanted = bus().subscribe(WANTED)
    asked = asyncio.Event()

    async def listen() -> None:
        async for _ in wanted:
            asked.set()

    listening = asyncio.create_task(listen())
    encode = msgspec.json.Encoder().encode
    full_at = 0.0
    due = time.monotonic()
    try:
        while True:
            now = time.monotonic()
            full = asked.is_set() or now - full_at >= FULL_EVERY_S
            if full:
                asked.clear()
                full_at = now
            for frame in fleet.frames(time.time(), full):
                bus().publish(FRAMES, encode(frame))
                # The page and its socket get their turn between services.
                await asyncio.sleep(0)
            due = max(due + tick, time.monotonic())
            # However late it is, the page and its socket get their turn.
            await asyncio.sleep(max(due - time.monotonic(), tick / 5))
    finally:
        listening.cancel()


async def main() -> None:
    port, breakers = int(sys.argv[1]), int(sys.argv[2])
    config = uvicorn.Config(
        application,
        host="127.0.0.1",
        port=port,
        ws="websockets-sansio",
        log_level="warning",
        access_log=False,
    )
    publishing = asyncio.create_task(publish(breakers))
    await uvicorn.Server(config).serve()
    publishing.cancel()


if __name__ == "__main__":
    asyncio.run(main())
