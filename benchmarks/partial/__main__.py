"""Partial outages, in the kinds that Shopify's Semian publishes: `python -m benchmarks.partial`.

Open-loop Poisson arrivals over real sockets at a dependency of ten shards. Each experiment runs a
count breaker (five failures in a row), a rate breaker (half of 20 calls in 5 s) and ours (adaptive
throttling, `throttle=3`, with no count and no rate), each with one retry within its budget, side by
side against a dependency of their own, with the same arrivals and the same luck. A share is the
calls that succeeded within 1 s, of all that were meant.

    spike        20 % of the calls fail from one moment to the next
    gradual      failures rise from 0 to 50 %
    sustained    40 % fail throughout
    oscillating  0 and 60 %, two seconds each
    slow         30 % fail, and every call takes 150 ms
    one_of_many  one shard of ten fails every call

    partial spike=<%> gradual=<%> sustained=<%> oscillating=<%> slow=<%> one_of_many=<%>

is our share; the table before it has the others', and how far ours is from the better of them in
points. The same calls are made with each breaker, so that only those count that succeeded with one
and not with the other: with ours alone `b` of them, with the other alone `c`. `z` is the difference
over its standard error, (b - c) / sqrt(b + c); within 2 it is chance.
"""

from __future__ import annotations

import argparse
import asyncio
import math
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
    "switchgear": lambda: CircuitBreaker(None, 5.0, registry=None, throttle=3.0),
}


async def run(name: str, contender: str, seconds: float, seed: int) -> list[bool]:
    """One experiment with one breaker: whether each call that was meant succeeded."""
    rates, delay = EXPERIMENTS[name]
    caller = ResilientCaller()
    options = CallOptions(1.0, 2, 0.02, circuit_breaker=CONTENDERS[contender]())
    rng = random.Random(seed)
    succeeded: list[bool] = []
    with process("benchmarks.partial.server") as port:
        pool, control = Pool(port, 200), Pool(port, 1)

        async def ask(shard: int, luck: list[float]) -> None:
            await pool.ask({"id": shard, "luck": luck.pop()})

        async def one(number: int, intended: float, shard: int, luck: list[float]) -> None:
            try:
                await caller.acall(ask, options, shard, luck)
            except Exception:
                return
            succeeded[number] = time.monotonic() - intended <= 1.0

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
            tasks.append(asyncio.create_task(one(len(tasks), began + at, shard, luck)))
            succeeded.append(False)
        await asyncio.gather(*tasks)
    return succeeded


async def measure(name: str, seconds: float, seed: int) -> dict[str, list[bool]]:
    """All contenders at once, with the same arrivals."""
    found = await asyncio.gather(*(run(name, each, seconds, seed) for each in CONTENDERS))
    return dict(zip(CONTENDERS, found, strict=True))


def apart(ours: list[bool], other: list[bool]) -> str:
    """How far two runs of the same calls are apart, in points and in standard errors."""
    alone = sum(mine and not theirs for mine, theirs in zip(ours, other, strict=True))
    without = sum(theirs and not mine for mine, theirs in zip(ours, other, strict=True))
    points = 100 * (alone - without) / len(ours)
    z = (alone - without) / math.sqrt(alone + without) if alone + without else 0.0
    return f"{points:>+9.1f} z={z:+.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.partial", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seconds", type=float, default=20.0, help="of each experiment")
    parser.add_argument("--seed", type=int, default=14)
    options = parser.parse_args()
    ours = []
    print(f"{'':<14}" + "".join(f"{name:>14}" for name in (*CONTENDERS, "to the better")))
    for name in EXPERIMENTS:
        found = asyncio.run(measure(name, options.seconds, options.seed))
        shares = {each: sum(good) / len(good) for each, good in found.items()}
        better = max(("count", "rate"), key=lambda each: shares[each])
        told = apart(found["switchgear"], found[better])
        print(f"{name:<14}" + "".join(f"{share:>14.1%}" for share in shares.values()) + told)
        ours.append(f"{name}={shares['switchgear']:.1%}")
    print("partial", *ours)


if __name__ == "__main__":
    main()
