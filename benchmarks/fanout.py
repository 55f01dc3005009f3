"""How long a frame takes to 500 browsers, and what delivering it costs.

    python -m benchmarks.fanout

Frames of 200 changed breakers are published four times a second, as the fleet does, to a web
process with 500 browsers on the wall; the time is from emission to each browser. The floor,
measured in turn with it, is a bare broadcaster (`benchmarks.bare`) under the same server: one loop
that sends the same bytes to the same number of sockets. The ratio is the CPU time a delivered
frame, over that.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

import msgspec
import redis.asyncio
import uvloop

from benchmarks.browsers import Browser
from benchmarks.production import ProductionStack, cpu_s, percentile, production, serve
from dashboard.bus.redis import keys
from dashboard.fleet.frame_types import BreakerView, Frame, Minute
from dashboard.fleet.snapshot.summary import summary_frame
from dashboard.fleet.view_builders import tail_of

BREAKERS = 200
_SEQ = re.compile(rb'"seq":(\d+)')


@dataclass
class Heard:
    """What arrived of one broadcaster's frames."""

    pids: list[int]
    sent: dict[int, float] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    cpu_s: float = 0.0

    def see(self, payload: bytes) -> None:
        """One browser has got one message."""
        now = time.perf_counter()
        found = _SEQ.search(payload)
        if found and (at := self.sent.get(int(found[1]))) is not None:
            self.latencies.append(now - at)

    @property
    def us_a_frame(self) -> float:
        return self.cpu_s / max(1, len(self.latencies)) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fanout", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seconds", type=float, default=60, help="of frames, in all")
    parser.add_argument("--browsers", type=int, default=500)
    options = parser.parse_args()
    with production(fleet=0) as shape, ExitStack() as stack:
        bare_url, bare_pid = serve(stack, "benchmarks.bare:application", shape.own)
        ours, bare = uvloop.run(
            _measure(shape, bare_url, bare_pid, options.browsers, options.seconds)
        )
    ratio = ours.us_a_frame / bare.us_a_frame
    for name, heard in (("switchgear", ours), ("bare", bare)):
        expected = len(heard.sent) * options.browsers
        print(
            f"{name:>10}: {len(heard.latencies)}/{expected} delivered, "
            f"{heard.us_a_frame:.1f} µs CPU each, "
            f"p50 {percentile(heard.latencies, 0.5) * 1e3:.0f} ms, "
            f"p99 {percentile(heard.latencies, 0.99) * 1e3:.0f} ms"
        )
    print(
        f"fanout p50_ms={percentile(ours.latencies, 0.5) * 1e3:.0f} "
        f"p99_ms={percentile(ours.latencies, 0.99) * 1e3:.0f} ratio={ratio:.2f}"
    )


async def _measure(
    shape: ProductionStack, bare_url: str, bare_pid: int, count: int, seconds: float
) -> tuple[Heard, Heard]:
    ours, bare = Heard(shape.web), Heard([bare_pid])
    cookie = shape.cookie("viewer")
    client = redis.asyncio.Redis.from_url(shape.redis)
    first = _frame(1)
    await client.publish(keys.topic("frames"), msgspec.json.encode({**first, "full": True}))
    for heard, url, path in ((ours, shape.url, "/live/v1"), (bare, bare_url, "/")):
        for n in range(count):
            await Browser(heard.see, cookie).connect(url, ["*"], path, detail="wall")
            if n % 20 == 19:
                await asyncio.sleep(0.05)
    await asyncio.sleep(2)
    # The bare one sends the very bytes that ours has made of the frame for the wall.
    summary = summary_frame(_frame(2), {})
    turns = max(2, round(seconds / 10))
    for _ in range(turns):
        await _send(client, "frames", _frame, ours, seconds / turns / 2)
        await _send(client, "bare", lambda seq: {**summary, "seq": seq}, bare, seconds / turns / 2)
    return ours, bare


async def _send(
    client: redis.asyncio.Redis,
    topic: str,
    make: Callable[[int], object],
    heard: Heard,
    seconds: float,
) -> None:
    """Four frames a second for a while, and the CPU time until all have arrived."""
    before = cpu_s(heard.pids)
    for _ in range(max(4, round(seconds * 4))):
        seq = len(heard.sent) + 2
        payload = msgspec.json.encode(make(seq))
        began = time.perf_counter()
        heard.sent[seq] = began
        await client.publish(keys.topic(topic), payload)
        await asyncio.sleep(max(0.0, began + 0.25 - time.perf_counter()))
    await asyncio.sleep(1)
    heard.cpu_s += cpu_s(heard.pids) - before


def _frame(seq: int) -> Frame:
    return {
        "type": "frame",
        "service": "orders",
        "seq": seq,
        "at": time.time(),
        "full": False,
        "interval_s": 1.0,
        "breakers": [_breaker(n, seq) for n in range(BREAKERS)],
        "instances": [],
        "removed": {"breakers": [], "instances": []},
        "over_capacity": {"instances": 0, "breakers": 0},
    }


def _breaker(n: int, seq: int) -> BreakerView:
    """As the fleet tells of it: with its last minute first, later with the end of it."""
    minute: Minute = {
        "spark": [800 + (n + seq + k) % 40 for k in range(60)],
        "spark_err": [3 + (n + k) % 3 for k in range(60)],
    }
    return {
        "service": "orders",
        "name": f"dependency-{n:03}.orders.read",
        "state": "closed",
        "states": {"closed": 20},
        "instances": [],
        "rate": 812.4 + (n + seq) % 7,
        "failed_pct": 0.42,
        "ran": 120,
        "failed": 1,
        "refused": 0,
        "outage": None,
        "p50_ms": 12.1,
        "p95_ms": 48.9,
        "p99_ms": 93.2,
        "counts": {"success": 8120, "failure": 34},
        "last": None,
        "override": None,
        **(minute if seq == 1 else tail_of(minute)),
    }


if __name__ == "__main__":
    main()
