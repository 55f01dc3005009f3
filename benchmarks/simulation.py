"""How far `switchgear simulate` is from the shop: `python -m benchmarks.simulation`.

The shop of the demo runs without a dashboard: real processes, its own load, the policy of its
breakers. Its dependency posts fails every call for a while, several times. The same outages are
played on the simulation's virtual clock, with as many instances, the rate of calls that was
measured before, the same policy and the same retries. Compared are the attempts that reach the
failing dependency, summed over the outages: calls that trip the breakers, and probes.

    simulation shop=<attempts> model=<attempts> error=<%>
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean
from typing import Any

import httpx

from breakers.cli.simulation import fleet
from examples.shop.watched import POLICY

INSTANCES = 4
BEFORE_S = 8.0
WELL_AGAIN_S = 14.0
# What profile-api declares for posts.
ATTEMPTS, RETRY_DELAY_S = 2, 0.05
SEEDS = 40
FAILING = {"median": 0.045, "p99": 0.150, "errors": 1.0}


class Shop:
    """The running shop, and its dependency posts."""

    def __init__(self, directory: Path) -> None:
        command = [sys.executable, "-m", "examples.shop", "--any-ports", "--dir", str(directory)]
        self.process = subprocess.Popen(
            [*command, "--tethered", "--profile-apis", str(INSTANCES)],
            stdout=subprocess.DEVNULL,
            stdin=subprocess.PIPE,
        )
        self.client = httpx.Client(trust_env=False, timeout=10.0)
        self.file = directory / "shop.json"
        self.posts = ""

    def wait(self) -> None:
        """Wait until every process answers."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if self.file.exists():
                self.posts = json.loads(self.file.read_text())["peers"]["posts"][0]
                if self.get()["requests"]:
                    return
            time.sleep(0.2)
        raise TimeoutError("the shop did not start")

    def get(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(f"{self.posts}/behaviour").json()
        return found

    def behave(self, behaviour: dict[str, float] | None) -> None:
        body = json.dumps(behaviour).encode() if behaviour else b""
        self.client.put(f"{self.posts}/behaviour", content=body).raise_for_status()

    def attempts(self, seconds: float) -> int:
        """The requests at posts in so many seconds from now."""
        before = self.get()["requests"]
        time.sleep(seconds)
        return int(self.get()["requests"]) - before

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


def modelled(rate: float, seconds: float) -> float:
    """The attempts that the model expects of one outage, the mean over some seeds."""
    outage = fleet.Outage(5.0, seconds, 1.0, rate / INSTANCES, ATTEMPTS, RETRY_DELAY_S)
    found = []
    for seed in range(SEEDS):
        clock = fleet.VirtualClock()
        instances = fleet.make_instances(INSTANCES, clock, random.Random(seed), POLICY)
        found.append(fleet.run(instances, clock, outage, seed).outage_attempts)
    return mean(found)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulation", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--outages", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each outage")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        shop = Shop(Path(directory))
        try:
            shop.wait()
            time.sleep(3.0)
            real, model = 0, 0.0
            for number in range(options.outages):
                rate = shop.attempts(BEFORE_S) / BEFORE_S
                shop.behave(FAILING)
                reached = shop.attempts(options.seconds)
                shop.behave(None)
                expected = modelled(rate, options.seconds)
                print(f"outage {number + 1}: {rate:.1f} calls/s before, ", end="")
                print(f"{reached} attempts in {options.seconds:g} s, model {expected:.1f}")
                real, model = real + reached, model + expected
                time.sleep(WELL_AGAIN_S)
        finally:
            shop.stop()
    print(f"simulation shop={real} model={model:.0f} error={abs(model - real) / real:.1%}")


if __name__ == "__main__":
    main()
