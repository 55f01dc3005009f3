"""Rules fire when their condition has held for long enough, live and over history alike."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dashboard.alerts.evaluation import Change, Evaluator
from dashboard.alerts.observations import BreakerFacts, InstanceFacts
from dashboard.alerts.replaying import replay
from dashboard.alerts.rule_kinds import DEFAULT_RULES, KINDS, params_of
from dashboard.alerts.selection import ActiveRule, Key

KEY: Key = ("shop", "posts")
TICK_S = 10.0
WEEK_S = 7 * 86_400


def rule(kind: str, id: int = 1, for_s: float | None = None, **params: float) -> ActiveRule:
    held = KINDS[kind].for_s if for_s is None else for_s
    return ActiveRule(id, kind, params_of(kind, params), held)


def facts(**states: tuple[str, float] | InstanceFacts) -> BreakerFacts:
    return BreakerFacts({name: InstanceFacts(*each) for name, each in states.items()})


class TestStates:
    def test_a_rule_fires_after_its_time_and_ends_with_its_condition(self) -> None:
        evaluator = Evaluator([rule("open_share", for_s=5, share_pct=50)])
        evaluator.observe(KEY, facts(a=("open", 100.0), b=("closed", 0.0)))
        assert evaluator.tick(104) == []
        assert evaluator.tick(105) == [Change(True, 1, KEY, 100.0, 105)]
        assert evaluator.tick(106) == []
        evaluator.observe(KEY, facts(a=("closed", 107.0), b=("closed", 0.0)))
        assert evaluator.tick(107) == [Change(False, 1, KEY, 100.0, 107)]

    def test_a_share_below_the_limit_does_not_fire(self) -> None:
        evaluator = Evaluator([rule("open_share", for_s=0, share_pct=51)])
        evaluator.observe(KEY, facts(a=("open", 100.0), b=("closed", 0.0)))
        assert evaluator.tick(200) == []

    def test_flapping_counts_the_trips_of_one_instance_within_a_time(self) -> None:
        evaluator = Evaluator([rule("flapping", trips=3, within_s=60)])
        for at in (0.0, 20.0, 40.0):
            evaluator.observe(KEY, facts(a=("open", at)))
            fired = evaluator.tick(at)
        assert fired == [Change(True, 1, KEY, 40.0, 40.0)]
        evaluator.observe(KEY, facts(a=("closed", 50.0)))
        assert evaluator.tick(59) == []
        assert evaluator.tick(61) == [Change(False, 1, KEY, 40.0, 61)]

    def test_trips_of_different_instances_are_not_flapping(self) -> None:
        evaluator = Evaluator([rule("flapping", trips=2, within_s=60)])
        evaluator.observe(KEY, facts(a=("open", 1.0), b=("open", 2.0)))
        assert evaluator.tick(3) == []

    def test_an_override_that_ends_while_the_breaker_would_be_open(self) -> None:
        evaluator = Evaluator([rule("override_ends", before_s=60)])
        forced = facts(a=("forced_closed", 0.0))
        forced.override_ends, forced.would_be_open = 500.0, True
        evaluator.observe(KEY, forced)
        assert evaluator.tick(439) == []
        assert evaluator.tick(440) == [Change(True, 1, KEY, 440.0, 440)]
        assert evaluator.tick(500) == [Change(False, 1, KEY, 440.0, 500)]

    def test_a_breaker_that_is_gone_ends_its_firings(self) -> None:
        evaluator = Evaluator([rule("open_share", for_s=0)])
        evaluator.observe(KEY, facts(a=("open", 1.0)))
        assert [each.fired for each in evaluator.tick(2)] == [True]
        evaluator.observe(KEY, None)
        assert [each.fired for each in evaluator.tick(3)] == [False]

    def test_a_tag_narrows_a_rule_to_a_version_or_zone(self) -> None:
        narrow = ActiveRule(
            1, "open_share", params_of("open_share", {"share_pct": 100}), 0, tag="v2"
        )
        evaluator = Evaluator([narrow])
        evaluator.observe(
            KEY,
            facts(a=InstanceFacts("open", 1.0, "v1"), b=InstanceFacts("closed", 1.0, "v2")),
        )
        assert evaluator.tick(5) == []
        evaluator.observe(
            KEY,
            facts(a=InstanceFacts("closed", 6.0, "v1"), b=InstanceFacts("open", 6.0, "v2")),
        )
        assert [each.fired for each in evaluator.tick(7)] == [True]

    def test_a_firing_that_was_taken_over_does_not_fire_again(self) -> None:
        evaluator = Evaluator([rule("open_share", for_s=0)])
        evaluator.resume({(1, KEY): 1.0})
        evaluator.observe(KEY, facts(a=("open", 1.0)))
        assert evaluator.tick(5) == []
        evaluator.observe(KEY, facts(a=("closed", 6.0)))
        assert [each.fired for each in evaluator.tick(6)] == [False]

    def test_a_clock_that_steps_back_fires_nothing_twice(self) -> None:
        evaluator = Evaluator([rule("open_share", for_s=10)])
        evaluator.observe(KEY, facts(a=("open", 100.0)))
        assert len(evaluator.tick(120)) == 1
        assert [*evaluator.tick(50), *evaluator.tick(121)] == []


class TestCounts:
    def minutes(self, kind: str, rows: list[dict[str, int]], **params: float) -> list[bool]:
        evaluator = Evaluator([rule(kind, **params)])
        found = []
        for n, counts in enumerate(rows):
            found += [each.fired for each in evaluator.minute(60.0 * n, {KEY: counts})]
        return found

    def test_a_burning_error_budget(self) -> None:
        well, ill = {"success": 100}, {"success": 50, "failure": 50}
        assert self.minutes("burn_rate", [well] * 60) == []
        assert self.minutes("burn_rate", [well] * 30 + [ill] * 30) == [True]

    def test_retries_that_multiply_calls(self) -> None:
        assert self.minutes("retry_amplification", [{"failure": 100, "retry": 10}]) == []
        assert self.minutes("retry_amplification", [{"failure": 100, "retry": 60}]) == [True]

    def test_traffic_that_is_gone(self) -> None:
        busy: dict[str, int] = {"success": 600}
        assert self.minutes("traffic_gone", [busy] * 30 + [{}] * 2) == [True]
        assert self.minutes("traffic_gone", [busy] * 30 + [{}] * 1) == []

    def test_failures_that_no_fallback_answers(self) -> None:
        covered = {"failure": 100, "fallback": 100}
        assert self.minutes("fallbacks_failing", [covered]) == []
        assert self.minutes("fallbacks_failing", [{"failure": 100, "fallback": 20}]) == [True]


@st.composite
def weeks(draw: Any) -> list[tuple[float, Key, BreakerFacts]]:
    """A week of changes of two breakers on three instances each, at most one in ten seconds."""
    keys = [("shop", "posts"), ("web", "shop")]
    moments = draw(st.lists(st.integers(0, WEEK_S // 10), min_size=1, max_size=40, unique=True))
    known: dict[Key, dict[str, InstanceFacts]] = {key: {} for key in keys}
    changes = []
    for moment in sorted(moments):
        at = moment * TICK_S
        key = draw(st.sampled_from(keys))
        instance = draw(st.sampled_from("abc"))
        state = draw(st.sampled_from(["closed", "open", "open", "half_open", "forced_open"]))
        known[key][instance] = InstanceFacts(state, at)
        changes.append((at, key, BreakerFacts(dict(known[key]))))
    return changes


@st.composite
def minute_counts(draw: Any) -> list[tuple[float, dict[Key, dict[str, int]]]]:
    """Counts of some hours, from a random minute of the week on."""
    first = draw(st.integers(0, 7 * 24 * 60 - 400))
    shapes = st.fixed_dictionaries(
        {
            "success": st.integers(0, 200),
            "failure": st.integers(0, 200),
            "retry": st.integers(0, 99),
        }
    )
    pieces = draw(st.lists(st.tuples(st.integers(1, 90), shapes), max_size=4))
    minutes = [counts for length, counts in pieces for _ in range(length)]
    return [((first + n) * 60.0, {KEY: counts}) for n, counts in enumerate(minutes)]


def all_rules() -> list[ActiveRule]:
    return [
        rule(kind, id=n, **params) for n, (_, kind, _, params) in enumerate(DEFAULT_RULES, start=1)
    ]


def live(
    rules: list[ActiveRule],
    changes: list[tuple[float, Key, BreakerFacts]],
    minutes: list[tuple[float, dict[Key, dict[str, int]]]],
) -> list[Change]:
    """What evaluation at every tick of the week finds."""
    evaluator = Evaluator(rules)
    found: list[Change] = []
    by_time = {at: (key, facts) for at, key, facts in changes}
    counts = dict(minutes)
    for tick in range(WEEK_S // 10 + 1):
        now = tick * TICK_S
        if now in by_time:
            evaluator.observe(*by_time[now])
        if now in counts:
            found += evaluator.minute(now, counts[now])
        found += evaluator.tick(now)
    return found


@given(weeks(), minute_counts())
@hypothesis_settings(max_examples=3)
def test_a_week_of_history_gives_the_firings_of_live_evaluation(
    changes: list[tuple[float, Key, BreakerFacts]],
    minutes: list[tuple[float, dict[Key, dict[str, int]]]],
) -> None:
    rules = all_rules()
    replayed: list[Change] = []
    replay(rules, changes, minutes, WEEK_S, TICK_S, replayed.append)
    for each in changes:
        each[2].trips = {}
    assert sorted(replayed) == sorted(live(rules, changes, minutes))
