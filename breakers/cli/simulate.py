"""`switchgear simulate`: what a policy does to a fleet, before a fleet has it."""

from __future__ import annotations

import random
from typing import Any

import click
from rich.console import Console

from breakers.circuit.policy import Policy
from breakers.cli.application import Context, main, pass_context
from breakers.cli.simulation import commands, fleet, shop, tipping

# Calls a second of each instance, and the time in which the last breakers close.
_RATE, _TAIL_S = 0.5, 25.0


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
@pass_context
def simulate(
    context: Context,
    instances: int,
    seed: int,
    outage: float,
    open_for: float,
    jitter: float,
    offline: float,
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
        **_against_the_shop(seed),
    }
    context.show(data, _render)


def _fleet(
    n: int, policy: dict[str, Any], script: fleet.Outage, seed: int, offline: float
) -> tuple[fleet.Observed, commands.Acknowledged]:
    clock = fleet.VirtualClock()
    instances = fleet.make_instances(n, clock, random.Random(seed), policy)
    seen = fleet.run(instances, clock, script, seed)
    return seen, commands.force(instances, clock, offline, seed)


def _against_the_shop(seed: int) -> dict[str, Any]:
    """What the model says of the outages of a measured run of the shop, and how far it is off."""
    recording = shop.Recording.read()
    found = shop.compare(recording, seed)
    return {
        "shop_date": recording.date,
        "shop": {
            name: {
                "measured": round(pair.shop, 2),
                "simulated": round(pair.model, 2),
                "error": round(pair.error, 3),
            }
            for name, pair in found.items()
        },
        "error": round(found["attempts"].error, 3),
    }


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
    console.print(
        f"{'Error against the shop':<28}{data['error']:.1%} of the attempts in its run of "
        f"{data['shop_date']}"
    )
    for name, pair in data["shop"].items():
        label = f"  {name.removesuffix('_s')}"
        unit = " s" if name.endswith("_s") else ""
        console.print(
            f"{label:<28}{pair['simulated']:g}{unit} for {pair['measured']:g}{unit}, "
            f"error {pair['error']:.1%}"
        )
