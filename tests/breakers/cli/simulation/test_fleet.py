"""The fleet on a virtual clock: latency, retries and breakers before a failing dependency."""

from __future__ import annotations

import random

import pytest

from breakers.cli.simulation import fleet

NO_TIME = fleet.Latency(1e-9, 1e-9)
HALF_A_SECOND = fleet.Latency(0.5, 0.5)


def play(latency: fleet.Latency, rate: float = 4.0, **policy: object) -> fleet.Observed:
    clock = fleet.VirtualClock()
    instances = fleet.make_instances(50, clock, random.Random(1), policy)
    outage = fleet.Outage(rate=rate, attempts=1, tail_s=25.0, latency=latency)
    return fleet.run(instances, clock, outage, seed=1)


def test_calls_that_wait_for_their_answer_reach_the_dependency_beside_those_that_trip() -> None:
    policy = {"failure_threshold": 5, "timeout_duration": 600.0}
    at_once, slow = play(NO_TIME, **policy), play(HALF_A_SECOND, **policy)
    assert at_once.outage_attempts == 50 * 5
    # Two calls of each instance arrive within the half second of the fifth failure's answer.
    assert slow.outage_attempts == pytest.approx(50 * 7, rel=0.1)


def test_one_probe_at_a_time_goes_to_the_dependency_however_long_it_takes() -> None:
    seen = play(HALF_A_SECOND, rate=20.0, failure_threshold=5, timeout_duration=5.0, open_jitter=0)
    # In each cycle of five and a half seconds of the thirty, less the time to trip.
    assert seen.outage_probes == 50 * 5
    assert seen.outage_refused > 50 * 400


def test_latencies_have_the_median_and_the_percentile_that_were_given() -> None:
    rng, latency = random.Random(1), fleet.Latency(0.045, 0.150)
    drawn = sorted(latency.draw(rng) for _ in range(20_000))
    assert drawn[10_000] == pytest.approx(0.045, rel=0.03)
    assert drawn[19_800] == pytest.approx(0.150, rel=0.06)
    assert drawn[-1] <= 0.300
