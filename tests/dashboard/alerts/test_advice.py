"""The one action that would help most, in the message and on the card."""

from __future__ import annotations

import pytest
from django.test import Client

from benchmarks.alerts import frame
from dashboard.access.models import Person
from dashboard.alerts.impact import Advice, Impact, advise
from dashboard.alerts.models import Incident, OutboxMessage
from dashboard.fleet.snapshot import process
from tests.dashboard.alerts.fleet import Fleet
from tests.dashboard.alerts.test_incidents import POSTS, USERS, WEB

CALM = Impact(instances=4, state="closed")


def failing(per_s: float, state: str = "open", **more: object) -> Impact:
    return Impact(3, 4, state=state, reaching_per_s=per_s, failing_per_s=per_s, **more)  # type: ignore[arg-type]


def test_the_first_cause_is_forced_open() -> None:
    found = advise({POSTS: failing(12, has_fallback=True), WEB: failing(14)}, POSTS)
    assert found == Advice(
        POSTS, "force-open", "Force posts open",
        "stops the 12 calls/s that still reach it; the fallback answers",
    )  # fmt: skip


def test_another_breaker_with_clearly_more_failing_calls_comes_before_it() -> None:
    found = advise({POSTS: failing(1), USERS: failing(40)}, POSTS)
    assert found is not None
    assert found.node == USERS


def test_a_breaker_that_has_just_opened_everywhere_does_not_come_before_it() -> None:
    just_opened = Impact(4, 4, state="open", reaching_per_s=30, failing_per_s=30)
    found = advise({POSTS: Impact(4, 4, state="open"), USERS: just_opened}, POSTS)
    assert found is not None
    assert found.node == POSTS


def test_a_breaker_that_refuses_everything_already_is_kept_from_its_test_calls() -> None:
    found = advise({POSTS: Impact(4, 4, state="open", reaching_per_s=20)}, POSTS)
    assert str(found) == (
        "Force posts open: stops the test calls, which are all that still reaches it; "
        "callers get an error at once"
    )


def test_a_breaker_forced_closed_that_fails_is_released() -> None:
    found = advise({POSTS: failing(9, "forced_closed"), WEB: CALM}, POSTS)
    assert found is not None
    assert (found.act, found.label) == ("automatic", "Release posts")


@pytest.mark.parametrize(
    "impact",
    [
        Impact(0, 4, state="closed", reaching_per_s=25),
        Impact(0, 4, state="closed"),
        # Open on one version alone: the calls of the others succeed.
        Impact(1, 4, state="open", only_on="v124", reaching_per_s=30, failing_per_s=4),
        Impact(3, 4, state="open", only_on="v124", reaching_per_s=9),
        Impact(0, 4, state="forced_closed", reaching_per_s=30, failing_per_s=1),
    ],
)
def test_good_calls_are_not_stopped(impact: Impact) -> None:
    assert advise({POSTS: impact}, POSTS) is None


def test_nothing_is_advised_where_all_is_forced_open_or_unknown() -> None:
    assert advise({POSTS: failing(1, "forced_open"), WEB: Impact()}, POSTS) is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("static_files")
def test_a_message_and_the_card_say_the_same(operator: Person, client: Client) -> None:
    fleet = Fleet()
    runner = fleet.runner()
    shown = frame("profile-api", ["posts"], "open", fleet.now, 1)
    shown["breakers"][0] |= {"rate": 50.0, "ran": 80, "failed": 80, "refused": 420}
    fleet.snapshot.merge(shown)  # type: ignore[arg-type]
    fleet.rounds(runner, 5)
    advice = "Force posts open: stops the test calls, which are all that still reaches it; callers"
    assert Incident.objects.get().advice.startswith(advice)
    assert f"What would help: {advice}" in OutboxMessage.objects.get().body
    process.replace(fleet.snapshot)
    client.force_login(operator)
    (card,) = client.get("/incidents/open.json").json()["incidents"]
    assert f"{card['help']['label']}: {card['help']['effect']}".startswith(advice)
    assert card["help"]["url"] == "/services/profile-api/breakers/posts/force-open"
