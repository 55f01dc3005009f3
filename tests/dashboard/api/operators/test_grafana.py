"""Annotations for Grafana, as its JSON datasource asks for them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from dashboard.access.models import Person
from dashboard.access.personal_tokens import create_personal_token
from dashboard.alerts.services import add_marker
from tests import operator_actions
from tests.dashboard.timeline.test_events import transition

pytestmark = pytest.mark.django_db


@pytest.fixture
def ask(operator: Person) -> Any:
    cache.clear()
    ends = timezone.now() + timedelta(days=1)
    _, raw = create_personal_token(operator, "grafana", ["read"], ends)
    client = Client(HTTP_AUTHORIZATION=f"Bearer {raw}")

    def ask(query: str = "", since: Any = None, until: Any = None) -> Any:
        now = time.time()
        iso = datetime.fromtimestamp(now - 3600, UTC).isoformat().replace("+00:00", "Z")
        body = {
            "range": {"from": since or iso, "to": until or round(1000 * (now + 60))},
            "annotation": {"name": "x", "query": query, "enable": True},
        }
        return client.post("/api/v1/grafana/annotations", body, "application/json")

    assert client.get("/api/v1/grafana").json() == {"status": "ok"}
    return ask


def test_trips_overrides_and_markers_are_annotations(ask: Any, operator: Person) -> None:
    now = time.time()
    transition(now - 300)
    transition(now - 290, before="open", after="half_open")
    operator_actions.force(operator, "shop", "posts", "forced_open", "INC-1", 600)
    add_marker(operator, text="v124 goes out", service="ads", at=now - 600)
    found = ask().json()
    assert [(each["tags"], each["title"]) for each in found] == [
        (["override", "shop", "posts"], "shop/posts"),
        (["transition", "shop", "posts"], "shop/posts"),
        (["marker", "ads"], "ads"),
    ]
    assert found[0]["text"] == "Forced open INC-1 (operator)"
    assert abs(found[1]["time"] / 1000 - (now - 300)) < 1
    assert [each["title"] for each in ask("ads").json()] == ["ads"]
    assert ask("ads/nothing").status_code == 200


@pytest.mark.parametrize(("since", "until"), [("yesterday", None), (1e30, None), (2000, 1000)])
def test_a_wrong_range_names_its_field(ask: Any, since: Any, until: Any) -> None:
    answer = ask("", since, until)
    assert answer.status_code == 422
    assert "range." in answer.content.decode()
