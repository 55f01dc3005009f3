"""A preview replays stored history, and finds what live evaluation found."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dashboard.alerts.evaluation import Change, Evaluator
from dashboard.alerts.models import Rule
from dashboard.alerts.observations import COUNTED, BreakerFacts, InstanceFacts
from dashboard.alerts.previews import TICK_S, preview, replayed
from dashboard.alerts.queries import as_active
from dashboard.alerts.rule_kinds import KINDS, params_of
from dashboard.alerts.selection import Key
from dashboard.history.models import MinuteRollup, Transition

pytestmark = pytest.mark.django_db
WEEK_S = 7 * 86_400
SINCE = 1_800_000_000.0
KEYS: tuple[Key, ...] = (("shop", "posts"), ("web", "shop"))
INSTANCES = "abc"
REPLAYED = sorted(name for name, kind in KINDS.items() if not kind.unknown)


class Step(NamedTuple):
    """An instance of a breaker enters a state."""

    at: float
    key: Key
    instance: str
    before: str
    after: str


def rule(kind: str, pk: int = 1, tag: str = "", **params: float) -> Rule:
    return Rule(
        pk=pk, name=f"{kind} {pk}", kind=kind, params=params_of(kind, params),
        for_s=KINDS[kind].for_s, tag=tag,
    )  # fmt: skip


def store(steps: list[Step]) -> None:
    Transition.objects.bulk_create(
        Transition(
            at=each.at, key=n, service=each.key[0], breaker=each.key[1], instance=each.instance,
            boot="b", number=n, before=each.before, after=each.after, cause="",
        )
        for n, each in enumerate(steps)
    )  # fmt: skip


@st.composite
def weeks(draw: Any) -> list[Step]:
    """Bursts of changes within a week: quick trips, and long stays."""
    steps: list[Step] = []
    states = dict.fromkeys(((key, id) for key in KEYS for id in INSTANCES), "closed")
    at = 0.0
    for pause in draw(
        st.lists(st.sampled_from([0.7, 5.0, 12.0, 61.0, 400.0, 9000.0]), min_size=5, max_size=60)
    ):
        at += pause + draw(st.floats(0.01, 4.0))
        key, id = draw(st.sampled_from(KEYS)), draw(st.sampled_from(INSTANCES))
        after = draw(st.sampled_from(["closed", "open", "open", "half_open", "forced_open"]))
        if after != states[key, id]:
            steps.append(Step(SINCE + at, key, id, states[key, id], after))
            states[key, id] = after
    return steps


@st.composite
def minutes(draw: Any) -> dict[int, dict[str, int]]:
    """Counts of some hours from a minute of the week on, by the start of the minute."""
    first = draw(st.integers(0, WEEK_S // 60 - 500))
    counts = st.fixed_dictionaries(
        {name: st.integers(0, 200) for name in ("success", "failure", "rejected", "retry")}
    )
    pieces = draw(st.lists(st.tuples(st.integers(1, 90), counts), max_size=4))
    each = [one for length, one in pieces for _ in range(length)]
    return {int(SINCE) // 60 * 60 + (first + n) * 60: one for n, one in enumerate(each)}


def live(rule: Rule, steps: list[Step], counts: dict[int, dict[str, int]]) -> list[Change]:
    """What an evaluation at every tick of the week finds in all that happens."""
    evaluator = Evaluator([as_active(rule)])
    now = {key: dict.fromkeys(INSTANCES, InstanceFacts("closed", SINCE)) for key in KEYS}
    for key in KEYS:
        evaluator.observe(key, BreakerFacts(dict(now[key])))
    waiting = list(steps)
    found: list[Change] = []
    for tick in range(int(WEEK_S / TICK_S) + 1):
        at = SINCE + tick * TICK_S
        while waiting and waiting[0].at <= at:
            step = waiting.pop(0)
            now[step.key][step.instance] = InstanceFacts(step.after, step.at)
            evaluator.observe(step.key, BreakerFacts(dict(now[step.key])))
        start = int(at) - 60
        if at % 60 == 0:
            seen = counts.get(start)
            found += evaluator.minute(at, {KEYS[0]: seen} if seen else {})
        found += evaluator.tick(at)
    return found


@pytest.mark.parametrize("kind", REPLAYED)
@given(weeks(), minutes())
@hypothesis_settings(
    max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_a_week_of_stored_history_gives_the_firings_of_live_evaluation(
    kind: str, steps: list[Step], counts: dict[int, dict[str, int]]
) -> None:
    Transition.objects.all().delete()
    MinuteRollup.objects.all().delete()
    store(steps)
    MinuteRollup.objects.bulk_create(
        MinuteRollup(service=KEYS[0][0], breaker=KEYS[0][1], start=start, **each)
        for start, each in counts.items()
        if any(each.values())
    )
    known = {key: dict.fromkeys(INSTANCES, InstanceFacts("closed", SINCE)) for key in KEYS}
    given_rule = rule(kind)
    expected = [each._replace(rule=0) for each in live(given_rule, steps, counts)]
    changes, cut = replayed(given_rule, SINCE, SINCE + WEEK_S, known)
    assert (sorted(changes), cut) == (sorted(expected), False)


def test_instances_that_never_changed_count_in_a_share() -> None:
    store([Step(SINCE + 100, KEYS[0], "a", "closed", "open")])
    known = {KEYS[0]: dict.fromkeys("abcde", InstanceFacts("closed", SINCE))}
    until = SINCE + 1000
    assert replayed(rule("open_share", share_pct=25), SINCE, until, known)[0] == []
    (fired,) = replayed(rule("open_share", share_pct=20), SINCE, until, known)[0]
    assert fired.at == SINCE + 105


def test_an_instance_that_was_open_when_the_range_begins_counts() -> None:
    store([Step(SINCE + 100, KEYS[0], "a", "open", "closed")])
    fired, ended = replayed(rule("open_share"), SINCE, SINCE + 1000, {})[0]
    assert (fired.fired, fired.at, ended.at) == (True, SINCE + 5, SINCE + 100)


def test_an_instance_that_is_gone_does_not_fire_for_ever() -> None:
    store([Step(SINCE + 100, KEYS[0], "a", "closed", "open")])
    changes, _ = replayed(rule("open_share"), SINCE, SINCE + WEEK_S, {})
    assert [each.fired for each in changes] == [True, False]


def test_a_tag_matches_the_versions_of_instances_that_are_connected() -> None:
    store([Step(SINCE + 100, KEYS[0], "a", "closed", "open")])
    known = {KEYS[0]: {"a": InstanceFacts("open", SINCE + 100, "v124", "eu", tags=("canary",))}}
    for tag, firings in (("v124", 1), ("eu", 1), ("can*", 1), ("v123", 0)):
        found, _ = replayed(rule("open_share", tag=tag), SINCE, SINCE + 1000, known)
        assert len(found) == firings, tag


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - set(REPLAYED)))
def test_what_history_does_not_contain_is_said(kind: str) -> None:
    found = preview(rule(kind), SINCE)
    assert found["unknown"].startswith("history does not say")


def test_traffic_that_is_gone_since_the_last_minute_is_found() -> None:
    MinuteRollup.objects.bulk_create(
        MinuteRollup(service="shop", breaker="posts", start=int(SINCE) + 60 * n,
                     **dict.fromkeys(COUNTED, 0) | {"success": 600})
        for n in range(40)
    )  # fmt: skip
    changes, _ = replayed(rule("traffic_gone"), SINCE, SINCE + 3600, {})
    assert [each.at for each in changes if each.fired] == [SINCE + 42 * 60]
