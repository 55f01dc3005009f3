"""How far `switchgear simulate` is from the shop: `python -m benchmarks.simulation`.

The shop of the demo runs without a dashboard: real processes, its own load, the policy of its
breakers. Its dependency posts fails every call for a while, several times. The same outages are
played on the simulation's virtual clock, with as many instances, the rate of calls that was
measured before, the same policy, latencies and retries. Compared are, summed over the outages, the
attempts that reach the failing dependency, the probes among them, the calls that are refused and
the time to recover. `--keep` writes what the shop did into the package, where `switchgear simulate`
reads it.

    simulation shop=<attempts> model=<attempts> error=<%>
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from breakers.cli.simulation import shop as recorded
from breakers.cli.simulation.fleet import Latency
from examples.shop.behaviour import NORMAL
from examples.shop.watched import POLICY

INSTANCES = 4
BEFORE_S = 8.0
WELL_AGAIN_S = 14.0
# What profile-api declares for posts.
ATTEMPTS, RETRY_DELAY_S = 2, 0.05
RUNS = 40
# posts is as fast as it is when well, see examples/shop/behaviour.py.
LATENCY = Latency(NORMAL["posts"].median, NORMAL["posts"].p99)
FAILING = {"median": LATENCY.median, "p99": LATENCY.p99, "errors": 1.0}


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
        self.profile_apis: list[str] = []

    def wait(self) -> None:
        """Wait until every process answers."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if self.file.exists():
                peers = json.loads(self.file.read_text())["peers"]
                self.posts, self.profile_apis = peers["posts"][0], peers["profile-api"]
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

    def breakers(self) -> list[dict[str, Any]]:
        """The breaker of each profile-api before posts."""
        faces = (self.client.get(f"{base}/breakers").json() for base in self.profile_apis)
        return [one for face in faces for one in face if one["name"] == "posts"]

    def recovery(self) -> float:
        """Seconds from now until the last breaker closes."""
        ended = time.monotonic()
        while time.monotonic() < ended + 60:
            found, now = self.breakers(), time.monotonic()
            if all(each["state"] == "closed" for each in found):
                return now - ended - min(each["since_s"] for each in found)
            time.sleep(0.2)
        raise TimeoutError("the breakers did not close")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


def measured(shop: Shop, seconds: float) -> recorded.MeasuredOutage:
    """Play one outage on the shop."""
    well = shop.breakers()
    reached = shop.attempts(BEFORE_S)
    before = shop.breakers()
    # In an outage nothing fills the cache, so that its calls come to the breaker too.
    rate = (reached + _more(well, before, "counts", "cache_hit")) / BEFORE_S
    shop.behave(FAILING)
    reached = shop.attempts(seconds)
    shop.behave(None)
    after = shop.breakers()
    recovery_s = shop.recovery()
    return recorded.MeasuredOutage(
        seconds,
        round(rate, 2),
        recorded.Figures(
            attempts=reached,
            probes=_more(before, after, "entered", "half_open"),
            refused=_more(before, after, "counts", "rejected"),
            recovery_s=round(recovery_s, 2),
        ),
    )


def _more(before: list[Any], after: list[Any], kind: str, key: str) -> int:
    """By how much a count of the breakers has grown."""
    return sum(int(one[kind].get(key, 0)) for one in after) - sum(
        int(one[kind].get(key, 0)) for one in before
    )


def recording_of(outages: int, seconds: float) -> recorded.Recording:
    """Start the shop, play the outages and stop it."""
    found = []
    with tempfile.TemporaryDirectory() as directory:
        shop = Shop(Path(directory))
        try:
            shop.wait()
            time.sleep(3.0)
            for number in range(outages):
                found.append(measured(shop, seconds))
                print(f"outage {number + 1}: {found[-1]}", flush=True)
                time.sleep(WELL_AGAIN_S)
        finally:
            shop.stop()
    today = datetime.now(UTC).date().isoformat()
    return recorded.Recording(
        today, INSTANCES, POLICY, ATTEMPTS, RETRY_DELAY_S, LATENCY, tuple(found)
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulation", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--outages", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each outage")
    parser.add_argument("--keep", action="store_true", help=f"write {recorded.KEPT.name}")
    options = parser.parse_args()
    recording = recording_of(options.outages, options.seconds)
    if options.keep:
        recording.write(recorded.KEPT)
    found = recorded.compare(recording, seed=1, runs=RUNS)
    for name, pair in found.items():
        print(f"{name:<12}shop {pair.shop:g}, model {pair.model:.1f}, error {pair.error:.1%}")
    attempts = found["attempts"]
    print(
        f"simulation shop={attempts.shop:g} model={attempts.model:.0f} error={attempts.error:.1%}"
    )


if __name__ == "__main__":
    main()
