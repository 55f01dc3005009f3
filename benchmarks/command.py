"""How long an operator's act takes until instances have acknowledged it.

    python -m benchmarks.command

500 agents are connected and report each second. An operator posts the form that forces a breaker
open; the time of each instance is from before the request to the moment its acknowledgement is
stored. Then the override is lifted, and so on.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable
from typing import cast

import httpx
import psycopg
import uvloop

from benchmarks.agents import SocketAgent
from benchmarks.ingest import Load
from benchmarks.production import ProductionStack, percentile, production
from benchmarks.sockets import BINARY, frame
from breakers.protocol import messages as wire
from breakers.protocol.codec import MSGPACK

SERVICE = "orders"
BREAKER = "dependency-00.orders.read"
_ACKS = """
select extract(epoch from ack.at), ack.instance from control_ack ack
join control_override override on override.id = ack.override_id
where override.ended is null
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.command", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seconds", type=float, default=60, help="of acts, in all")
    parser.add_argument("--agents", type=int, default=500)
    options = parser.parse_args()
    with production() as shape:
        latencies, acts, missing = uvloop.run(_measure(shape, options.agents, options.seconds))
    print(f"{acts} acts, {len(latencies)} acknowledgements, {missing} missing")
    print(
        f"command p50_ms={percentile(latencies, 0.5) * 1e3:.0f} "
        f"p99_ms={percentile(latencies, 0.99) * 1e3:.0f}"
    )


class Obedient(SocketAgent):
    """An agent that acknowledges each desired state at once, as the real one does."""

    def __init__(self, instance: str, token: str) -> None:
        super().__init__(SERVICE, instance, token)
        self._instance = instance

    def _hear(self, payload: bytes) -> None:
        super()._hear(payload)
        while self.desired:
            _, desired = self.desired.pop()
            items = [
                wire.AckItem("override", each.breaker, "applied", each.id)
                for each in desired.overrides
            ]
            ack = wire.Ack(SERVICE, self._instance, desired.revision, items)
            self.socket.transport.write(frame(BINARY, MSGPACK.encode(ack)))


async def _measure(
    shape: ProductionStack, count: int, seconds: float
) -> tuple[list[float], int, int]:
    token = shape.tokens([SERVICE])[SERVICE]
    agents = [Obedient(f"i{n:04}", token) for n in range(count)]
    for each in agents:
        await each.connect(shape.url)
    load = Load(list(agents))
    reporting = asyncio.create_task(load.run(seconds + 120, float(count)))
    await asyncio.sleep(5)
    cookie = shape.cookie("operator")
    latencies: list[float] = []
    acts = missing = 0
    until = time.perf_counter() + seconds
    async with httpx.AsyncClient(base_url=shape.url, trust_env=False, timeout=30) as browser:
        browser.headers["Cookie"] = cookie
        while time.perf_counter() < until or acts < 3:
            found = await _act(shape, browser, count)
            latencies += found
            missing += count - len(found)
            acts += 1
    reporting.cancel()
    return latencies, acts, missing


async def _act(shape: ProductionStack, browser: httpx.AsyncClient, count: int) -> list[float]:
    """Force open, wait for all, and lift; seconds until each acknowledgement was stored."""
    csrf = browser.headers["Cookie"].partition("csrftoken=")[2].partition(";")[0]
    path = f"/services/{SERVICE}/breakers/{BREAKER}"
    form = {"reason": "a benchmark", "expires_in": "900", "csrfmiddlewaretoken": csrf}
    began = time.time()
    answer = await browser.post(f"{path}/force-open", data=form)
    assert answer.status_code == 302, answer.text[:2000]
    rows: list[tuple[float, str]] = []
    deadline = time.perf_counter() + 15
    async with await psycopg.AsyncConnection.connect(shape.postgres, autocommit=True) as database:
        while len(rows) < count and time.perf_counter() < deadline:
            await asyncio.sleep(0.25)
            rows = cast(list[tuple[float, str]], await (await database.execute(_ACKS)).fetchall())
    form = {"reason": "a benchmark", "csrfmiddlewaretoken": csrf}
    answer = await cast(Awaitable[httpx.Response], browser.post(f"{path}/automatic", data=form))
    assert answer.status_code == 302, answer.text[:2000]
    await asyncio.sleep(0.5)
    return [float(at) - began for at, _ in rows]


if __name__ == "__main__":
    main()
