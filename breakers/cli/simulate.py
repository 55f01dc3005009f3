"""`switchgear simulate`: what a policy does to a fleet, before a fleet has it."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import click
from rich.console import Console

from breakers.circuit.policy import Policy
from breakers.cli.application import Context, main, pass_context
from breakers.cli.simulation import commands, fleet, reference, tipping

# Calls a second of each instance, and the time in which the last breakers close.
_RATE, _TAIL_S = 0.5, 25.0
_REAL = 40
_REAL_OUTAGE = fleet.Outage(began_s=1.0, seconds=5.0, tail_s=2.0, rate=5.0)


@main.command()
@click.option("--instances", default=1000, show_default=True, type=click.IntRange(1, 100_000))
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same figures.")
@click.option("--outage", default=30.0, show_default=True, type=click.FloatRange(1, 600))
@click.option("--open-for", default=5.0, show_default=True, help="timeout_duration, in seconds.")
@click.option("--jitter", default=0.1, show_default=True, help="open_jitter.")
@click.option(
    "--offline",
    default=0.01,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Share of the instances that are reconnecting when the override is sent.",
)
@click.option("--check/--no-check", default=True, show_default=True,
              help="Hold the model to a real run over sockets (about 8 s).")  # fmt: skip
@pass_context
def simulate(
    context: Context,
    instances: int,
    seed: int,
    outage: float,
    open_for: float,
    jitter: float,
    offline: float,
    check: bool,
) -> None:
    """Simulate a fleet on a virtual clock: an outage, a command, and where load tips over."""
    policy = {"timeout_duration": open_for, "open_jitter": jitter}
    Policy().replace(policy)
    script = fleet.Outage(seconds=outage, tail_s=_TAIL_S, rate=_RATE)
    in_step = {**policy, "open_jitter": 0.0}
    protected, acknowledged = _fleet(instances, policy, script, seed, offline)
    unjittered, _ = _fleet(instances, in_step, script, seed, offline)
    bare = [fleet.Instance(None, None) for _ in range(instances)]
    naive = fleet.run(bare, fleet.VirtualClock(), script, seed)
    data = {
        "instances": instances,
        "seed": seed,
        "calls": protected.calls,
        "probe_concurrency": protected.probe_concurrency,
        "probe_concurrency_without_jitter": unjittered.probe_concurrency,
        "recovered_s": round(max(0.0, protected.closed_at - script.end_s), 2),
        "amplification": round(protected.amplification, 3),
        "amplification_without_breakers": round(naive.amplification, 3),
        "acknowledged_by_half_s": round(acknowledged.half_s, 3),
        "acknowledged_by_all_s": round(acknowledged.all_s, 3),
        "tipping_point": round(tipping.tipping_point(True, seed), 2),
        "tipping_point_without_breakers": round(tipping.tipping_point(False, seed), 2),
        "error": _error(policy, seed) if check else None,
    }
    context.show(data, _render)


def _fleet(
    n: int, policy: dict[str, Any], script: fleet.Outage, seed: int, offline: float
) -> tuple[fleet.Observed, commands.Acknowledged]:
    clock = fleet.VirtualClock()
    instances = fleet.make_instances(n, clock, random.Random(seed), policy)
    seen = fleet.run(instances, clock, script, seed)
    return seen, commands.force(instances, clock, offline, seed)


def _error(policy: dict[str, Any], seed: int) -> float:
    """How far the model is from a real run, in attempts that reach the dependency."""
    real_policy = {**policy, "timeout_duration": 1.0}
    real = asyncio.run(reference.attempts_over_sockets(_REAL, _REAL_OUTAGE, real_policy, seed))
    clock = fleet.VirtualClock()
    instances = fleet.make_instances(_REAL, clock, random.Random(seed), real_policy)
    modelled = fleet.run(instances, clock, _REAL_OUTAGE, seed).outage_attempts
    return round(abs(modelled - real) / max(1, real), 3)


def _render(console: Console, data: dict[str, Any]) -> None:
    rows = (
        ("Probe concurrency", "{probe_concurrency} within 50 ms "
         "({probe_concurrency_without_jitter} without jitter)"),
        ("Recovery after the outage", "{recovered_s} s until the last breaker closed"),
        ("Amplification", "{amplification} attempts a call "
         "({amplification_without_breakers} without breakers)"),
        ("Full acknowledgement", "{acknowledged_by_all_s} s (half: {acknowledged_by_half_s} s)"),
        ("Tipping point", "{tipping_point:.0%} of capacity "
         "({tipping_point_without_breakers:.0%} without breakers)"),
    )  # fmt: skip
    console.print(f"{data['instances']:,} instances, seed {data['seed']}, {data['calls']:,} calls")
    for name, text in rows:
        console.print(f"{name:<28}{text.format(**data)}")
    if data["error"] is not None:
        console.print(f"{'Error against a real run':<28}{data['error']:.1%}")
