"""`switchgear simulate`: the library on a virtual clock, deterministic by seed."""

from __future__ import annotations

import json
import random
from typing import Any

from click.testing import CliRunner

from breakers.cli import main
from breakers.cli.simulation import commands, fleet, shop


def simulated(*args: str) -> dict[str, Any]:
    result = CliRunner().invoke(main, ["--json", "simulate", *args])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.output)
    return found


def play(n: int, **policy: object) -> fleet.Observed:
    clock = fleet.VirtualClock()
    instances = fleet.make_instances(n, clock, random.Random(1), policy)
    return fleet.run(instances, clock, fleet.Outage(rate=2.0), seed=1)


def test_the_same_seed_gives_the_same_figures_and_another_gives_others() -> None:
    one, same, other = (simulated("--instances", "40", "--seed", s) for s in ("1", "1", "2"))
    assert one == same
    assert one["calls"] != other["calls"]


def test_breakers_keep_retries_from_multiplying_the_load_of_an_outage() -> None:
    found = simulated("--instances", "60")
    assert found["amplification"] < 1.0 < found["amplification_without_breakers"]


def test_breakers_raise_the_load_at_which_a_trigger_leaves_a_collapse() -> None:
    found = simulated("--instances", "10")
    assert found["tipping_point"] > found["tipping_point_without_breakers"]


def test_every_attempt_that_reaches_a_failing_dependency_is_a_call_or_a_probe() -> None:
    seen = play(20, failure_threshold=3, timeout_duration=5.0)
    # Three to open each breaker, and probes at most every five seconds less the jitter.
    assert 60 <= seen.outage_attempts <= 20 * (3 + 30 / 4.5 + 1)
    assert seen.closed_at > fleet.Outage().end_s


def test_an_override_reaches_everyone_and_those_offline_last() -> None:
    def force(offline: float) -> commands.Acknowledged:
        clock = fleet.VirtualClock()
        instances = fleet.make_instances(200, clock, random.Random(1), {})
        found = commands.force(instances, clock, offline, seed=1)
        assert all(each.breaker.state == "forced_open" for each in instances if each.breaker)
        return found

    assert force(0.0).all_s < force(0.2).all_s <= commands.RECONNECT_MAX_S + 2.0


def test_it_prints_its_error_against_the_measured_run_of_the_shop() -> None:
    result = CliRunner().invoke(main, ["simulate", "--instances", "2", "--outage", "1"])
    assert result.exit_code == 0, result.output
    kept = shop.Recording.read()
    found = shop.compare(kept, seed=1)
    assert f"{found['attempts'].error:.1%} of the attempts" in result.output
    assert kept.date in result.output
    for name, pair in found.items():
        assert name.removesuffix("_s") in result.output
        assert f"for {pair.shop:g}" in result.output
        assert f"error {pair.error:.1%}" in result.output


def test_the_error_is_the_same_with_the_same_seed_and_another_with_another() -> None:
    one, same, other = (simulated("--instances", "2", "--outage", "1", "--seed", s) for s in "112")
    assert one["shop"] == same["shop"] != other["shop"]


def test_bad_options_are_refused() -> None:
    result = CliRunner().invoke(main, ["simulate", "--jitter", "5"])
    assert result.exit_code != 0
    assert "open_jitter" in result.output
