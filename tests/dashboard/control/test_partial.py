"""An operator lets a share of a breaker's calls pass, and raises it step by step."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from dashboard.access.models import AuditEntry, Person
from dashboard.access.people import keep_person
from dashboard.common.display_names import override_word
from dashboard.control import actions, approvals, queries
from dashboard.control.action_catalogue import STEPS, next_step
from dashboard.control.holdings import change_end
from dashboard.control.models import Override, PendingAct
from dashboard.control.override_writes import Target
from dashboard.fleet.frame_types import OverrideInfo
from dashboard.fleet.model import ServiceModel
from dashboard.fleet.view_builders import override_view
from tests import operator_actions

pytestmark = pytest.mark.django_db
POSTS = Target("shop", "posts")


def limit(person: Person, share: float | None, **more: Any) -> Override:
    asked = {"state": "forced_partial", "reason": "a cold cache", "expires_in_s": 900.0} | more
    return operator_actions.force(person, "shop", "posts", share=share, **asked)


def test_agents_and_pages_are_told_the_share(operator: Person) -> None:
    row = limit(operator, 0.05)
    (sent,) = queries.active_overrides("shop")
    assert (sent.state, sent.share) == ("forced_partial", 0.05)
    (info,) = queries.override_infos()
    assert override_view(ServiceModel("shop"), "posts", info)["share"] == 0.05
    assert AuditEntry.objects.get(act="forced_partial").detail["share"] == 0.05
    assert override_word(row.state, row.share) == "Limited to 5%"


def test_an_override_without_a_share_says_nothing_of_one() -> None:
    info = OverrideInfo("o1", "shop", "posts", None, "forced_open", "down", "ann", 1, 2e9)
    assert "share" not in override_view(ServiceModel("shop"), "posts", info)


def test_each_step_replaces_the_one_before_and_undo_puts_it_back(operator: Person) -> None:
    limit(operator, 0.05)
    outcome = actions.act(operator, "act-0002", [POSTS], "forced_partial", "well", 900.0, 0.1)
    assert [each.share for each in queries.standing()] == [0.1]
    actions.undo(operator, "undo-001", outcome.id)
    assert [each.share for each in queries.standing()] == [0.05]


def test_an_act_that_names_another_share_is_another_act(operator: Person) -> None:
    asked = (operator, "act-0001", [POSTS], "forced_partial", "well", 900.0)
    actions.act(*asked, 0.1)
    with pytest.raises(ValidationError, match="names another act"):
        actions.act(*asked, 0.5)


def test_an_end_can_be_changed_and_the_share_stays(operator: Person) -> None:
    row = limit(operator, 0.25)
    assert change_end(operator, row.pk, 60.0, "sooner").share == 0.25


@pytest.mark.parametrize(
    ("state", "share", "said"),
    [
        ("forced_partial", None, "Say which share"),
        ("forced_partial", 0.0, "force open"),
        ("forced_partial", 1.01, "up to 1"),
        ("forced_partial", float("nan"), "up to 1"),
        ("forced_open", 0.5, "Only forced_partial has a share"),
    ],
)
def test_a_share_that_does_not_fit_is_refused_at_its_field(
    operator: Person, state: str, share: float | None, said: str
) -> None:
    with pytest.raises(ValidationError, match=said) as error:
        limit(operator, share, state=state)
    assert "share" in error.value.message_dict
    assert not Override.objects.exists()


def test_an_act_that_waits_for_approval_keeps_its_share(operator: Person) -> None:
    with pytest.raises(approvals.ApprovalNeeded):
        approvals.perform(
            operator, "act-0001", [POSTS], "forced_partial", "well", 900.0, 0.1, proposed=True
        )
    assert PendingAct.objects.get().share == 0.1
    approvals.approve(keep_person("root", "admin"), "act-0001")
    assert [each.share for each in queries.standing()] == [0.1]


def test_the_steps_lead_to_all_calls() -> None:
    taken, share = [], None
    while share != 1.0:
        taken.append(next_step(share))
        share = taken[-1] / 100
    assert tuple(taken) == STEPS
