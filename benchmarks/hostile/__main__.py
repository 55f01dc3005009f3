"""What an honest fleet feels while strangers and one hostile token attack the dashboard.

    python -m benchmarks.hostile

100 honest instances of one service and 10 of another report each second. First nothing else
happens; then one service's token and 200 anonymous clients send oversized, slow, malformed,
poisoned and unauthenticated traffic, from a process of their own (benchmarks/hostile/traffic.py).
The last line compares the honest receipts of the two phases and counts the honest calls that were
lost."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass, field

import uvloop

from benchmarks.agents import BREAKERS, CALLS, MSGPACK, SocketAgent
from benchmarks.production import ROOT, ProductionStack, percentile, production, rss_mb
from breakers.protocol import messages as wire

HONEST = "orders"
OTHER = "payments"
HOSTILE = "hostile"
_COUNTED = """
select coalesce(sum(success), 0) from history_tenseconds where service in ('orders', 'payments')
"""
_SETTLE_S = 20.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seconds", type=float, default=60, help="of each of the two phases")
    parser.add_argument("--instances", type=int, default=100)
    parser.add_argument("--strangers", type=int, default=200)
    options = parser.parse_args()
    with production() as shape:
        found = uvloop.run(_measure(shape, options.instances, options.strangers, options.seconds))
    for name, phase in (("quiet", found.quiet), ("attack", found.attack)):
        print(
            f"{name:>8}: {len(phase.honest)} receipts of {HONEST}, "
            f"p50 {percentile(phase.honest, 0.5) * 1e3:.0f} ms, "
            f"p99 {percentile(phase.honest, 0.99) * 1e3:.0f} ms; of {OTHER} "
            f"p99 {percentile(phase.other, 0.99) * 1e3:.0f} ms"
        )
    ratio = percentile(found.attack.honest, 0.99) / percentile(found.quiet.honest, 0.99)
    print(f"memory grown: web {found.web_mb:.0f} MB, fleet {found.fleet_mb:.0f} MB")
    print(
        f"hostile honest_p99_ratio={ratio:.2f} lost={found.lost} "
        f"others_receipt_p99_ms={percentile(found.attack.other, 0.99) * 1e3:.0f} "
        f"rss_growth_mb={max(0.0, found.web_mb + found.fleet_mb):.0f}"
    )


@dataclass
class Phase:
    """Seconds from each report to its receipt."""

    honest: list[float] = field(default_factory=list)
    other: list[float] = field(default_factory=list)


@dataclass
class Found:
    """What was measured."""

    quiet: Phase
    attack: Phase
    lost: int
    web_mb: float
    fleet_mb: float


class Timed(SocketAgent):
    """An agent that notes how long each of its reports waits for its receipt, and connects again
    when it is cut off, as the real one does: it sends what was not confirmed once more."""

    def __init__(self, service: str, instance: str, token: str, url: str) -> None:
        super().__init__(service, instance, token)
        self._url = url
        self._sent_at: dict[int, float] = {}
        self.waits: list[float] = []
        self.cut_off = 0

    def report(self) -> None:
        self._sent_at[self.sent + 1] = time.perf_counter()
        super().report()

    def _hear(self, payload: bytes) -> None:
        if isinstance(MSGPACK.from_server(payload), wire.Desired):
            return
        super()._hear(payload)
        now = time.perf_counter()
        for seq in [each for each in self._sent_at if each <= self.safe]:
            self.waits.append(now - self._sent_at.pop(seq))

    async def run(self, until: float) -> None:
        """Report each second."""
        await asyncio.sleep(random.random())
        while time.perf_counter() < until:
            if self.socket.closed.is_set():
                await self._again()
            self.report()
            await asyncio.sleep(1.0)

    async def _again(self) -> None:
        self.cut_off += 1
        while True:
            self.renew()
            try:
                await self.connect(self._url)
                break
            except (OSError, TimeoutError):
                await asyncio.sleep(0.2)
        missing, self.sent = self.sent, self.safe
        while self.sent < missing:
            SocketAgent.report(self)


async def _measure(shape: ProductionStack, instances: int, strangers: int, seconds: float) -> Found:
    tokens = shape.tokens([HONEST, OTHER, HOSTILE])
    honest = [Timed(HONEST, f"i{n:03}", tokens[HONEST], shape.url) for n in range(instances)]
    other = [Timed(OTHER, f"p{n:02}", tokens[OTHER], shape.url) for n in range(10)]
    for each in (*honest, *other):
        await each.connect(shape.url)
    roles = (list(shape.web), list(shape.fleet))
    await _report([*honest, *other], 10)
    _taken(honest), _taken(other)
    await _report([*honest, *other], seconds)
    quiet = Phase(_taken(honest), _taken(other))
    before = [rss_mb(pids) for pids in roles]
    attack = subprocess.Popen(  # noqa: ASYNC220 - starting it takes a moment
        [sys.executable, "-m", "benchmarks.hostile.traffic", shape.url, "--strangers",
        str(strangers),
         "--seconds", str(seconds)],
        cwd=ROOT, env={**os.environ, "HOSTILE_TOKEN": tokens[HOSTILE]},
    )  # fmt: skip
    await _report([*honest, *other], seconds)
    attacked = Phase(_taken(honest), _taken(other))
    await asyncio.to_thread(attack.wait)
    web_mb, fleet_mb = (rss_mb(pids) - mb for pids, mb in zip(roles, before, strict=True))
    until = time.perf_counter() + _SETTLE_S
    everybody = [*honest, *other]
    while time.perf_counter() < until and any(each.safe < each.sent for each in everybody):
        await asyncio.sleep(0.5)
    await asyncio.sleep(2)
    expected = sum(each.sent for each in everybody) * BREAKERS * CALLS
    cut_off = sum(each.cut_off for each in everybody)
    if cut_off:
        print(f"honest agents were cut off {cut_off} times")
    return Found(quiet, attacked, expected - shape.query(_COUNTED), web_mb, fleet_mb)


async def _report(agents: list[Timed], seconds: float) -> None:
    until = time.perf_counter() + seconds
    await asyncio.gather(*(each.run(until) for each in agents))
    await asyncio.sleep(2)


def _taken(agents: list[Timed]) -> list[float]:
    """What was noted since the last time, and what still waits counts as waiting until now."""
    found: list[float] = []
    now = time.perf_counter()
    for each in agents:
        found += each.waits + [now - at for at in each._sent_at.values()]
        each.waits = []
    return found


if __name__ == "__main__":
    main()
