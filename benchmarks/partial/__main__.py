"""Partial outages, in the kinds that Shopify's Semian publishes: `python -m benchmarks.partial`.

Open-loop Poisson arrivals over real sockets at a dependency of ten shards. Each experiment runs a
count breaker (five failures in a row), a rate breaker (half of 20 calls in 5 s) and ours (adaptive
throttling, `throttle=2`, with no count and no rate), each with one
retry within its budget, side by side against a dependency of their
own, with the same arrivals. A share is the calls that succeeded within 1 s, of all that were meant.

    spike        20 % of the calls fail from one moment to the next
    gradual      failures rise from 0 to 50 %
    sustained    40 % fail throughout
    oscillating  0 and 60 %, two seconds each
    slow         30 % fail, and every call takes 150 ms
    one_of_many  one shard of ten fails every call

    partial spike=<%> gradual=<%> sustained=<%> oscillating=<%> slow=<%> one_of_many=<%>

is our share; the table before it has the others'.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from collections.abc import Callable

from benchmarks.incident.load import process
from benchmarks.incident.wire import Pool
from benchmarks.partial.server import SHARDS
from breakers import CallOptions, CircuitBreaker, ResilientCaller

RATE = 80.0
STEP_S = 0.25
NORMAL_S = 0.005

Rates = Callable[[float], list[float]]


def everywhere(rate: Callable[[float], float]) -> Rates:
    return lambda at: [rate(at)] * SHARDS


# At `at`, from 0 to 1 of the experiment: the share of failures of each shard.
EXPERIMENTS: dict[str, tuple[Rates, float]] = {
    "spike": (everywhere(lambda at: 0.2 if at >= 0.2 else 0.0), NORMAL_S),
    "gradual": (everywhere(lambda at: at * 0.5), NORMAL_S),
    "sustained": (everywhere(lambda at: 0.4), NORMAL_S),
    "oscillating": (everywhere(lambda at: 0.6 if int(at * 6) % 2 else 0.0), NORMAL_S),
    "slow": (everywhere(lambda at: 0.3), 0.15),
    "one_of_many": (lambda at: [1.0] + [0.0] * (SHARDS - 1), NORMAL_S),
}

RATE_BREAKER = {
    "failure_rate_threshold": 0.5,
    "window_type": "time",
    "window_size": 5,
    "minimum_calls": 20,
}
CONTENDERS: dict[str, Callable[[], CircuitBreaker]] = {
    "count": lambda: CircuitBreaker(5, 5.0, registry=None),
    "rate": lambda: CircuitBreaker(None, 5.0, registry=None, **RATE_BREAKER),
    "switchgear": lambda: CircuitBreaker(None, 5.0, registry=None, throttle=2.0),
}


async def run(name: str, contender: str, seconds: float, seed: int) -> tuple[int, int, int]:
    """One experiment with one breaker: calls meant, calls that succeeded, calls that arrived."""
    rates, delay = EXPERIMENTS[name]
    caller = ResilientCaller()
    options = CallOptions(1.0, 2, 0.02, circuit_breaker=CONTENDERS[contender]())
    rng = random.Random(seed)
    succeeded = arrived = 0
    with process("benchmarks.partial.server") as port:
        pool, control = Pool(port, 200), Pool(port, 1)

        async def ask(shard: int, luck: list[float]) -> None:
            nonlocal arrived
            arrived += 1
            await pool.ask({"id": shard, "luck": luck.pop()})

        async def one(intended: float, shard: int, luck: list[float]) -> None:
            nonlocal succeeded
            try:
                await caller.acall(ask, options, shard, luck)
            except Exception:
                return
            succeeded += time.monotonic() - intended <= 1.0

        for _ in range(100):
            try:
                await control.ask({"errors": rates(0.0), "delays": [delay] * SHARDS})
                break
            except OSError:
                await asyncio.sleep(0.05)
        began, at, told, tasks = time.monotonic(), 0.0, -1.0, []
        while (at := at + rng.expovariate(RATE)) < seconds:
            if at - told >= STEP_S:
                told = at
                await control.ask({"errors": rates(at / seconds), "delays": [delay] * SHARDS})
            if (wait := began + at - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            shard, luck = rng.randrange(SHARDS), [rng.random(), rng.random()]
            tasks.append(asyncio.create_task(one(began + at, shard, luck)))
        await asyncio.gather(*tasks)
    return len(tasks), succeeded, arrived


async def measure(name: str, seconds: float, seed: int) -> dict[str, tuple[int, int, int]]:
    """All contenders at once, with the same arrivals."""
    found = await asyncio.gather(*(run(name, each, seconds, seed) for each in CONTENDERS))
    return dict(zip(CONTENDERS, found, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.partial", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seconds", type=float, default=12.0, help="of each experiment")
    parser.add_argument("--seed", type=int, default=14)
    options = parser.parse_args()
    ours = []
    print(f"{'':<14}" + "".join(f"{name:>14}" for name in CONTENDERS))
    for name in EXPERIMENTS:
        found = asyncio.run(measure(name, options.seconds, options.seed))
        shares = {each: good / meant for each, (meant, good, _) in found.items()}
        print(f"{name:<14}" + "".join(f"{share:>14.1%}" for share in shares.values()))
        ours.append(f"{name}={shares['switchgear']:.1%}")
    print("partial", *ours)


if __name__ == "__main__":
    main()
