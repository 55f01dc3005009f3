"""The measured run of the shop that the simulation is held to.

`shop.json` keeps what the processes of the demo's shop really did in some outages of one of their
dependencies; `python -m benchmarks.simulation --keep` measures and writes it. The same scenario is
played on the virtual clock, and the two are compared.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any, Final

from breakers.cli.simulation import fleet

KEPT: Final = Path(__file__).with_name("shop.json")
# Runs of the model for each outage of the shop, whose mean is compared.
RUNS: Final = 20


@dataclass(frozen=True, slots=True)
class Figures:
    """What happened, summed over the outages: attempts that reached the dependency, probes among
    them, calls that the breakers refused, and seconds until the last breaker closed again."""

    attempts: float
    probes: float
    refused: float
    recovery_s: float


@dataclass(frozen=True, slots=True)
class MeasuredOutage:
    """One outage: its length, the calls a second of all instances before it, and its figures."""

    seconds: float
    calls_per_s: float
    figures: Figures


@dataclass(frozen=True, slots=True)
class Recording:
    """A measured run: when it was, what was set, and what happened in each outage."""

    date: str
    instances: int
    policy: Mapping[str, Any]
    attempts: int
    retry_delay_s: float
    latency: fleet.Latency
    outages: tuple[MeasuredOutage, ...]

    def write(self, path: Path) -> None:
        """Keep it as a file."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path = KEPT) -> Recording:
        """The recording of a file."""
        fields = json.loads(path.read_text(encoding="utf-8"))
        outages = (
            MeasuredOutage(**{**each, "figures": Figures(**each["figures"])})
            for each in fields.pop("outages")
        )
        latency = fleet.Latency(**fields.pop("latency"))
        return cls(**fields, latency=latency, outages=tuple(outages))


@dataclass(frozen=True, slots=True)
class Comparison:
    """One figure of the shop and of the model."""

    shop: float
    model: float

    @property
    def error(self) -> float:
        """How far the model is off, as a share of what the shop did."""
        return abs(self.model - self.shop) / self.shop if self.shop else float(self.model != 0)


def compare(recording: Recording, seed: int, runs: int = RUNS) -> dict[str, Comparison]:
    """Each figure of the recording beside that of the model, summed over the outages."""
    pairs = [
        (asdict(outage.figures), asdict(modelled(recording, outage, seed, runs)))
        for outage in recording.outages
    ]
    return {
        name: Comparison(sum(shop[name] for shop, _ in pairs), sum(own[name] for _, own in pairs))
        for name in Figures.__dataclass_fields__
    }


def modelled(recording: Recording, outage: MeasuredOutage, seed: int, runs: int = RUNS) -> Figures:
    """What the model expects of this outage: the mean over some runs."""
    script = fleet.Outage(
        seconds=outage.seconds,
        rate=outage.calls_per_s / recording.instances,
        attempts=recording.attempts,
        retry_delay_s=recording.retry_delay_s,
        latency=recording.latency,
    )
    found = []
    for number in range(runs):
        one = seed * runs + number
        clock = fleet.VirtualClock()
        instances = fleet.make_instances(
            recording.instances, clock, random.Random(one), recording.policy
        )
        found.append(fleet.run(instances, clock, script, one))
    return Figures(
        attempts=mean(each.outage_attempts for each in found),
        probes=mean(each.outage_probes for each in found),
        refused=mean(each.outage_refused for each in found),
        recovery_s=mean(max(0.0, each.closed_at - script.end_s) for each in found),
    )
