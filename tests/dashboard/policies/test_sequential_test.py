"""The canary's test: right at every look, deaf to changes of traffic, and quick to see harm."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.policies.sequential_test import Arm, CanaryTest

COUNTS = st.tuples(st.integers(0, 300), st.integers(0, 300)).map(
    lambda pair: Arm(max(pair), min(pair))
)


def look(chance: random.Random, calls: int, share: float) -> Arm:
    return Arm(calls, sum(chance.random() < share for _ in range(calls)))


def test_a_canary_that_is_no_worse_is_rarely_halted_however_often_one_looks() -> None:
    halted = 0
    for seed in range(200):
        chance = random.Random(seed)
        test = CanaryTest(alpha=0.05)
        for n in range(120):
            # The failure rate of both arms, and the canary's share of traffic, change all the time.
            share = 0.01 + 0.2 * (n % 30 > 20)
            test.add(look(chance, chance.randint(0, 12), share), look(chance, 30, share))
            if test.is_worse:
                halted += 1
                break
    assert halted <= 200 * 0.05 + 4


def test_harm_is_seen_within_few_looks() -> None:
    chance = random.Random(7)
    test = CanaryTest()
    looks = 0
    while not test.is_worse and looks < 60:
        test.add(look(chance, 25, 0.10), look(chance, 75, 0.01))
        looks += 1
    assert looks < 30
    assert test.sentence().startswith("halted: success ")
    assert test.sentence().endswith(("p < 0.01", "p < 0.001", "p < 0.0001"))


def test_a_canary_that_is_as_good_becomes_safe() -> None:
    chance = random.Random(3)
    test = CanaryTest()
    for _ in range(400):
        test.add(look(chance, 25, 0.05), look(chance, 75, 0.05))
    assert test.is_safe
    assert not test.is_worse
    assert test.sentence().startswith("safe: ")


def test_an_outage_of_both_arms_is_no_harm_of_the_canary() -> None:
    test = CanaryTest()
    for _ in range(50):
        test.add(Arm(25, 25), Arm(75, 75))
    assert test.p_value == 1.0
    assert not test.is_worse


@given(looks=st.lists(st.tuples(COUNTS, COUNTS), max_size=12))
def test_the_p_value_never_rises_and_is_a_probability(looks: list[tuple[Arm, Arm]]) -> None:
    test = CanaryTest()
    before = 1.0
    for canary, rest in looks:
        test.add(canary, rest)
        assert 0 <= test.p_value <= before
        before = test.p_value


@given(looks=st.lists(st.tuples(COUNTS, COUNTS), max_size=6))
def test_what_is_kept_between_looks_loses_nothing(looks: list[tuple[Arm, Arm]]) -> None:
    test = CanaryTest()
    for canary, rest in looks:
        test.add(canary, rest)
        test = CanaryTest.from_state(json.loads(json.dumps(test.as_state())))
    again = CanaryTest()
    for canary, rest in looks:
        again.add(canary, rest)
    assert test == again


def test_many_calls_in_one_look_are_quick_and_right() -> None:
    test = CanaryTest()
    test.add(Arm(5_000_000, 250_000), Arm(20_000_000, 200_000))
    assert test.is_worse
    assert test.canary.calls == 5_000_000


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Arm(1, 2), "failures is 2; right is a number from 0 to calls (1)"),
        (lambda: Arm(1, -1), "failures is -1"),
        (lambda: CanaryTest(alpha=0), "alpha is 0"),
        (lambda: CanaryTest(margin=1), "margin is 1"),
        (lambda: CanaryTest(margin=float("nan")), "margin is nan"),
    ],
)
def test_bad_figures_are_refused(make: object, words: str) -> None:
    with pytest.raises(ValueError, match=words.split(";")[0]):
        make()  # type: ignore[operator]


def test_without_calls_it_says_what_it_waits_for() -> None:
    assert CanaryTest().sentence() == "waiting: the canary has ended no call yet"
