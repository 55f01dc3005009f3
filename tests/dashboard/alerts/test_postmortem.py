"""The figures of a post-mortem come from the level of history that still has them."""

from __future__ import annotations

import time

import pytest

from dashboard.alerts.models import Incident
from dashboard.alerts.postmortem import postmortem
from dashboard.history.models import HourRollup, MinuteRollup, Rolled, Rollup
from tests.dashboard.alerts.test_incidents import POSTS, WEB, end, fire

pytestmark = pytest.mark.django_db
DAY = 86_400


@pytest.mark.parametrize(
    ("age_s", "level", "step_s"),
    [(600, Rollup, 10), (3 * DAY, MinuteRollup, 60), (40 * DAY, HourRollup, 3600)],
)
def test_calls_failures_and_refusals_of_each_breaker(
    age_s: int, level: type[Rollup], step_s: int
) -> None:
    now = time.time()
    at = now - age_s
    for coarser in (60, 3600):
        Rolled.objects.update_or_create(step_s=coarser, defaults={"to": int(now) // 3600 * 3600})
    fire(POSTS, WEB, at=at)
    end(POSTS, WEB, at=at + 120)
    Incident.objects.update(ended=at + 120)
    level.objects.create(
        service="profile-api", breaker="posts", start=int(at) // step_s * step_s, success=7,
        failure=5, timeout=6, rejected=40, fallback=33,
    )  # fmt: skip
    text = postmortem(Incident.objects.get(), True)
    assert "- Calls refused by breakers: 40" in text
    assert "| profile-api/posts | 58 | 11 | 40 | 33 | – |" in text
