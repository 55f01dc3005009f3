"""How many breaker-updates a second the production shape counts, what a report costs it, and how
long a report takes to a browser.

    python -m benchmarks.ingest                 about three minutes
    python -m benchmarks.ingest --seconds 30    shorter

Redis, PostgreSQL, one web process and the fleet workers are started here, on the machine that also
makes the load. Agents speak the real protocol, one in ten over HTTP. For each number of instances
they first send a little more than is confirmed of it, so that the rate is one that is sustained,
then at half that rate, while the time from an agent's report to a browser's frame is taken. Then
every report sent must be in the database.

The floor, measured in the same run, is a bare typed MessagePack decode and a pipelined XADD of the
same report. The ratio is the CPU time of web and fleet a report, over that.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import time
from collections import deque
from dataclasses import dataclass
from typing import Final

import msgspec
import redis
import uvloop

from benchmarks.agents import BREAKERS, CALLS, HttpAgent, SocketAgent, report
from benchmarks.browsers import Browser
from benchmarks.production import ProductionStack, cpu_s, percentile, production, rss_mb
from benchmarks.sockets import BINARY, frame
from breakers.protocol import messages as wire
from breakers.protocol.codec import MSGPACK

SIZES: Final = (1, 10, 100, 1000)
_SERVICES: Final = 8
_FIRST_RATE: Final = 2000.0
# First so much faster at each look, until a receipt is late: it comes with the checkpoint, a second
# or so later. Then so much faster than was confirmed over the last seconds, with so much underway.
_CLIMB: Final = 1.06
_LATE_S: Final = 2.0
_AHEAD: Final = 1.5
_FOLLOWED_S: Final = 4.0
_UNCONFIRMED_S: Final = 2.5
_LOOK_S: Final = 0.1
_UNLIMITED: Final = float("inf")
_SLICE_S: Final = 0.005
_COUNTED: Final = "select sum(success) from history_tenseconds"


@dataclass
class Row:
    """What was measured with so many instances."""

    instances: int
    reports_per_s: float
    gate_us: float
    fleet_us: float
    p50_ms: float
    p99_ms: float
    rss_mb: tuple[float, float]
    lost: int

    @property
    def cost_us(self) -> float:
        return self.gate_us + self.fleet_us


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seconds", type=float, default=160, help="of load, in all")
    parser.add_argument("--fleet", type=int, default=1, help="fleet workers")
    parser.add_argument("--instances", type=int, nargs="*", default=SIZES)
    options = parser.parse_args()
    each_s = options.seconds / len(options.instances)
    with production(fleet=options.fleet) as shape:
        floor_us = floor(shape)
        print(f"floor: decode + pipelined XADD of a {len(_sample())} B report {floor_us:.1f} µs")
        rows = uvloop.run(_measure(shape, options.instances, each_s))
    print(_table(rows))
    last = rows[-1]
    print(
        f"ingest updates_per_s={last.reports_per_s * BREAKERS:.0f} "
        f"lost={sum(row.lost for row in rows)} report_to_frame_p99_ms={last.p99_ms:.0f} "
        f"ratio={last.cost_us / floor_us:.2f}"
    )


def _sample() -> bytes:
    return MSGPACK.encode(report("service", "instance"))


def floor(shape: ProductionStack, rounds: int = 30) -> float:
    """Microseconds of CPU for a bare decode and XADD, in batches of 100; the best of many."""
    data = _sample()
    decode = msgspec.msgpack.Decoder(wire.Report).decode
    best = float("inf")
    with redis.Redis.from_url(shape.redis) as client:
        for _ in range(rounds):
            began = time.process_time()
            pipe = client.pipeline(transaction=False)
            for _ in range(100):
                decode(data)
                pipe.xadd("floor", {"m": data}, maxlen=1000)
            pipe.execute()
            best = min(best, (time.process_time() - began) / 100)
        client.delete("floor")
    return best * 1e6


async def _measure(shape: ProductionStack, sizes: list[int], each_s: float) -> list[Row]:
    services = [f"orders-{n}" for n in range(_SERVICES)]
    tokens = shape.tokens(services)
    cookie = shape.cookie("viewer")
    rows: list[Row] = []
    rate = _FIRST_RATE
    for size in sizes:
        rows.append(await _row(shape, tokens, cookie, size, each_s, rate))
        # What one crowd can do, another can, or nearly.
        rate = max(_FIRST_RATE, rows[-1].reports_per_s / 2)
    return rows


async def _row(
    shape: ProductionStack,
    tokens: dict[str, str],
    cookie: str,
    size: int,
    each_s: float,
    first_rate: float,
) -> Row:
    counted = shape.query(_COUNTED)
    named = itertools.cycle(tokens.items())
    agents: list[SocketAgent | HttpAgent] = []
    for n in range(size):
        service, token = next(named)
        kind = HttpAgent if n % 10 == 9 else SocketAgent
        agents.append(kind(service, f"i{size}-{n:04}", token))
    for each in agents:
        await each.connect(shape.url)
    load = Load(agents, first_rate)
    await load.run(each_s * 0.3, None)  # until caches are warm and every instance is known
    web, fleet, safe = cpu_s(shape.web), cpu_s(shape.fleet), load.safe
    rss, began = rss_mb(shape.web + shape.fleet), time.perf_counter()
    await load.run(each_s * 0.35, None)
    took, done = time.perf_counter() - began, load.safe - safe
    web, fleet = cpu_s(shape.web) - web, cpu_s(shape.fleet) - fleet
    await load.drain()

    probe = Probe(shape.url, *next(iter(tokens.items())), cookie)
    await probe.connect()
    await asyncio.gather(load.run(each_s * 0.35, done / took / 2), probe.run(each_s * 0.35))
    await load.drain()
    rss_after = rss_mb(shape.web + shape.fleet)
    for agent in [*agents, probe.agent]:
        agent.close()
    probe.browser.socket.transport.close()
    sent = load.sent + probe.agent.sent
    lost = sent * BREAKERS * CALLS - (shape.query(_COUNTED) - counted)
    row = Row(
        size,
        done / took,
        web / done * 1e6,
        fleet / done * 1e6,
        percentile(probe.latencies, 0.5) * 1e3,
        percentile(probe.latencies, 0.99) * 1e3,
        (rss, rss_after),
        lost // CALLS // BREAKERS if lost % (CALLS * BREAKERS) == 0 else lost,
    )
    print(_table([row]).splitlines()[-1], flush=True)
    return row


class Load:
    """Agents that report at a rate, or at the highest that their reports are confirmed at."""

    def __init__(
        self, agents: list[SocketAgent | HttpAgent], first_rate: float = _FIRST_RATE
    ) -> None:
        self._agents = agents
        self._turns = itertools.cycle(agents)
        self._rate = first_rate
        self._capacity = _UNLIMITED
        self._is_climbing = True
        self._seen: deque[tuple[float, int, int]] = deque(maxlen=int(_FOLLOWED_S / _LOOK_S))

    @property
    def sent(self) -> int:
        return sum(each.sent for each in self._agents)

    @property
    def safe(self) -> int:
        return sum(each.safe for each in self._agents)

    async def run(self, seconds: float, rate: float | None) -> None:
        """Report for a while, evenly. `rate` is in reports a second, of all together; None climbs
        until receipts come late, and is a little more than what is confirmed from then on."""
        self._rate, self._capacity = rate or self._rate, _UNLIMITED
        follow = asyncio.create_task(self._follow()) if rate is None else None
        owed, last = 0.0, time.perf_counter()
        until = last + seconds
        while (now := time.perf_counter()) < until:
            owed = min(owed + self._rate * (now - last), self._rate / 10)
            last = now
            while owed >= 1 and self._capacity > 0 and self._report():
                owed -= 1
                self._capacity -= 1
            await asyncio.sleep(_SLICE_S)
        if follow is not None:
            follow.cancel()

    def _report(self) -> bool:
        for _ in self._agents:
            agent = next(self._turns)
            if self._may(agent):
                agent.report()
                return True
        return False

    async def _follow(self) -> None:
        while True:
            now, sent, safe = time.perf_counter(), self.sent, self.safe
            seen = self._seen
            seen.append((now, sent, safe))
            if self._is_climbing:
                self._rate *= _CLIMB
                late_s = next((now - at for at, until, _ in seen if until > safe), 0.0)
                self._is_climbing = late_s < _LATE_S
            else:
                confirmed = (safe - seen[0][2]) / max(now - seen[0][0], _FOLLOWED_S / 2)
                confirmed = max(confirmed, _FIRST_RATE)
                self._rate = _AHEAD * confirmed
                self._capacity = _UNCONFIRMED_S * confirmed - (sent - safe)
            await asyncio.sleep(_LOOK_S)

    def _may(self, agent: SocketAgent | HttpAgent) -> bool:
        if isinstance(agent, HttpAgent):
            return agent.sent == agent.safe
        if agent.socket.closed.is_set():
            raise RuntimeError("the server has closed an agent's connection")
        return agent.socket.writable.is_set()

    async def drain(self) -> None:
        """Wait until all that was sent is confirmed."""
        deadline = time.perf_counter() + 60
        while self.safe < self.sent and time.perf_counter() < deadline:
            await asyncio.sleep(0.1)


class Probe:
    """One more instance, whose breaker changes its state again and again, and a browser."""

    def __init__(self, url: str, service: str, token: str, cookie: str) -> None:
        self.latencies: list[float] = []
        self.agent = SocketAgent(service, "probe", token)
        self.browser = Browser(self._see, cookie)
        self._url = url
        self._service = service
        self._asked: dict[bytes, float] = {}

    async def connect(self) -> None:
        """Open both connections."""
        await self.browser.connect(self._url, [self._service])
        await self.agent.connect(self._url)

    async def run(self, seconds: float) -> None:
        """Change the state about seven times a second."""
        until = time.perf_counter() + seconds
        made = report(self._service, "probe")
        made.boot = f"probe-{time.monotonic()}"
        for n in itertools.count(1):
            if time.perf_counter() > until:
                break
            made.seq = self.agent.sent = n
            cause = f"probe {id(self)} {n}"
            made.breakers[0].state, made.breakers[0].cause = ("open", "closed")[n % 2], cause
            self._asked[cause.encode()] = time.perf_counter()
            self.agent.socket.transport.write(frame(BINARY, MSGPACK.encode(made)))
            await asyncio.sleep(0.137)
        deadline = time.perf_counter() + 5
        while self._asked and time.perf_counter() < deadline:
            await asyncio.sleep(0.05)
        while self.agent.safe < self.agent.sent and time.perf_counter() < deadline:
            await asyncio.sleep(0.05)

    def _see(self, payload: bytes) -> None:
        now = time.perf_counter()
        for cause in [each for each in self._asked if each in payload]:
            # What came before it in the same tick was overtaken by it, and is as fresh as it is.
            for earlier in list(self._asked):
                self.latencies.append(now - self._asked.pop(earlier))
                if earlier == cause:
                    break


def _table(rows: list[Row]) -> str:
    lines = [
        f"{'instances':>9} {'updates/s':>10} {'per core':>10} {'web µs':>8} {'fleet µs':>8} "
        f"{'p50 ms':>7} {'p99 ms':>7} {'server MB':>13} {'lost':>5}"
    ]
    for row in rows:
        per_core = BREAKERS * 1e6 / row.cost_us
        lines.append(
            f"{row.instances:>9,} {row.reports_per_s * BREAKERS:>10,.0f} {per_core:>10,.0f} "
            f"{row.gate_us:>8.1f} {row.fleet_us:>8.1f} {row.p50_ms:>7.0f} {row.p99_ms:>7.0f} "
            f"{row.rss_mb[0]:>6.0f}→{row.rss_mb[1]:>6.0f} {row.lost:>5}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
