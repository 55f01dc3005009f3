"""Around the editor: comparing, copying, scheduling, bulk edits, drift from git, findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from breakers.protocol import messages as wire
from dashboard.access.models import Person
from dashboard.control.models import Override
from dashboard.policies import documents, queries, rollouts, services
from dashboard.policies.models import BreakerPolicy, Rollout, ScheduledChange
from tests.dashboard.web.showing import showing

pytestmark = [pytest.mark.usefixtures("static_files"), pytest.mark.django_db]
PAGE = "/services/shop/breakers/posts/policy"
OVERVIEW = "/policies/overview"


@pytest.fixture
def client(operator: Person) -> Client:
    services.note_declared({"shop": {"posts": {"timeout": 0.5}, "ads": {}}, "pay": {"bank": {}}})
    client = Client()
    client.force_login(operator)
    return client


@pytest.fixture
def show() -> Iterator[Callable[..., None]]:
    with showing() as show:
        show("shop", wire.BreakerReport("posts", "closed"), wire.BreakerReport("ads", "closed"))
        show("pay", wire.BreakerReport("bank", "closed"))
        yield show


def fields(service: str, breaker: str) -> dict[str, Any]:
    return BreakerPolicy.objects.get(service=service, breaker=breaker).fields


def test_a_bulk_edit_begins_with_nothing_chosen(client: Client, show: object) -> None:
    page = client.get(OVERVIEW).content.decode()
    boxes = [line for line in page.splitlines() if 'name="scope"' in line]
    assert boxes
    assert not any(" checked" in line for line in boxes)
    typed = {"field": "timeout", "value": "nonsense", "reason": "", "scope": "shop/posts"}
    page = client.post(OVERVIEW, typed).content.decode()
    chosen = 'value="shop/posts" checked'
    assert chosen in page
    assert 'value="shop/ads" checked' not in page


def test_any_two_versions_are_compared(client: Client, operator: Person) -> None:
    services.save(operator, "shop", "posts", {"timeout": 0.25})
    services.save(operator, "shop", "posts", {"timeout": 0.25, "retries": 1})
    services.save(operator, "shop", "posts", {"timeout": None})
    page = client.get(f"{PAGE}?one=1&other=3").content.decode()
    assert "timeout 250 ms → off." in page
    assert "they are the same" in client.get(f"{PAGE}?one=2&other=2").content.decode()
    for bad in ("one=1&other=9", "one=x&other=1", "one=٣&other=1", "one=1"):
        assert 'id="comparison"' not in client.get(f"{PAGE}?{bad}").content.decode()


def test_a_policy_is_copied_from_another_breaker(client: Client, operator: Person) -> None:
    source = services.save(operator, "pay", "bank", {"retries": 1}).policy
    assert "pay/bank" in client.get(PAGE).content.decode()
    assert client.post(f"{PAGE}/copy", {"source": source.pk}).status_code == 302
    assert fields("shop", "posts") == {"retries": 1}
    again = client.post(f"{PAGE}/copy", {"source": source.pk})
    assert (again.status_code, b"Nothing has changed" in again.content) == (422, True)
    assert client.post(f"{PAGE}/copy", {"source": 0}).status_code == 404


def test_a_policy_is_scheduled_and_cancelled(client: Client) -> None:
    starts = (timezone.now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M")
    posted = {"action": "schedule", "timeout": "100 ms", "base": "0", "starts": starts}
    assert client.post(PAGE, posted).status_code == 302
    (row,) = ScheduledChange.objects.all()
    assert row.fields == {"timeout": 0.1}
    assert "timeout 100 ms" in client.get(PAGE).content.decode()
    assert client.post(f"/policies/scheduled/{row.pk}/cancel").status_code == 302
    assert 'id="scheduled"' not in client.get(PAGE).content.decode()
    assert fields("shop", "posts") == {}


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ({}, "type a date and a time"),
        ({"starts": "soon"}, "soon is not a date and a time"),
        ({"starts": "2026-13-45T99:00"}, "is not a date and a time"),
        ({"starts": "2001-01-01T00:00"}, "in the past"),
        ({"starts": "2999-01-01T00:00", "ends": "2998-01-01T00:00"}, "not after the start"),
    ],
)
def test_a_bad_time_is_refused_and_nothing_is_kept(
    client: Client, times: dict[str, str], words: str
) -> None:
    posted = {"action": "schedule", "timeout": "100 ms", "base": "0", **times}
    answer = client.post(PAGE, posted)
    assert (answer.status_code, words in answer.content.decode()) == (422, True)
    assert not ScheduledChange.objects.exists()


@pytest.mark.usefixtures("show")
class TestBulk:
    def test_a_filter_and_a_choice_bound_the_edit(self, client: Client) -> None:
        page = client.get(f"{OVERVIEW}?service=SHOP").content.decode()
        assert "shop/ads" in page
        assert 'value="pay/bank"' not in page
        posted = {"service": "shop", "scope": ["shop/ads", "shop/posts", "pay/bank"]}
        edit = {"field": "retries", "value": "1", "reason": "less load"}
        answer = client.post(OVERVIEW, {**posted, **edit})
        assert "Saved 2 versions" in answer.content.decode()
        assert (fields("shop", "ads"), fields("pay", "bank")) == ({"retries": 1}, {})
        client.post(OVERVIEW, {**posted, "field": "retries", "value": "inherit"})
        assert fields("shop", "ads") == {}

    @pytest.mark.parametrize(
        ("edit", "words"),
        [
            (
                {"field": "retries", "value": "many"},
                "many is not allowed: it must be a whole number from 1 to 20",
            ),
            ({"field": "retries", "value": "1e308"}, "1e308 is not"),
            ({"field": "colour", "value": "1"}, "Choose a field"),
            ({"field": "retries", "value": "2", "scope": []}, "Choose at least one breaker"),
        ],
    )
    def test_what_is_wrong_is_said_and_nothing_is_saved(
        self, client: Client, edit: dict[str, Any], words: str
    ) -> None:
        answer = client.post(OVERVIEW, {"scope": ["shop/ads"], **edit})
        assert (answer.status_code, words in answer.content.decode()) == (422, True)
        assert fields("shop", "ads") == {}

    def test_a_viewer_may_not(self, client: Client, viewer: Person) -> None:
        client.force_login(viewer)
        assert client.get(OVERVIEW).status_code == 200
        edit = {"scope": ["shop/ads"], "field": "retries", "value": "1"}
        assert client.post(OVERVIEW, edit).status_code == 403

    def test_findings_of_the_whole_fleet_are_listed(self, client: Client, operator: Person) -> None:
        services.save(operator, "pay", "bank", {"retry_budget": None})
        page = client.get(OVERVIEW).content.decode()
        assert "SG012" in page
        assert "/services/pay/breakers/bank/policy" in page


def test_drift_names_what_was_edited_since_git(client: Client, operator: Person) -> None:
    assert documents.drift(operator) is None
    services.save(operator, "shop", "posts", {"timeout": 0.25})
    documents.apply(operator, documents.export(operator), "INC-1")
    assert "edited here: nothing" in client.get(OVERVIEW).content.decode()
    services.save(operator, "shop", "posts", {"timeout": 0.3})
    page = client.get(PAGE).content.decode()
    assert "Applied from git at" in page
    assert "(INC-1); since then edited here: timeout 250 ms → 300 ms by operator." in page
    assert "shop/posts timeout 250 ms → 300 ms" in client.get(OVERVIEW).content.decode()
    documents.apply(operator, documents.export(operator), "INC-2")
    assert 'id="drift"' not in client.get(PAGE).content.decode()


class TestMetricsFirst:
    def test_the_canary_refuses_nothing_and_is_not_promoted_meanwhile(
        self, client: Client, show: Callable[..., None]
    ) -> None:
        posted = {"timeout": "100 ms", "action": "rollout", "instances": "one", "promotes": "on"}
        assert client.post(PAGE, {**posted, "metrics_only": "on"}).status_code == 302
        override = Override.objects.get()
        assert (override.state, override.instances) == ("metrics_only", ["one"])
        made = Rollout.objects.get()
        assert made.measures_until is not None
        key = rollouts.ArmKey("shop", "posts", "one")
        other = rollouts.ArmKey("shop", "posts", "two")
        for _ in range(20):
            rollouts.absorb(
                {
                    key: (wire.Instance("one"), 10_000, 100),
                    other: (wire.Instance("two"), 10_000, 100),
                }
            )
            assert rollouts.judge_all() == 0
        Rollout.objects.update(measures_until=timezone.now() - timedelta(seconds=1))
        assert rollouts.judge_all() == 1
        assert Rollout.objects.get().state == Rollout.PROMOTED

    def test_a_tag_alone_selects_the_instances(
        self, client: Client, show: Callable[..., None]
    ) -> None:
        for name, tags in (("two", ["green"]), ("three", ["blue", "green"]), ("four", [])):
            show("shop", wire.BreakerReport("posts", "closed"), instance=name, tags=tags)
        posted = {"timeout": "100 ms", "action": "rollout", "tags": "green", "metrics_only": "on"}
        assert client.post(PAGE, posted).status_code == 302
        assert sorted(Override.objects.get().instances or []) == ["three", "two"]
        assert Rollout.objects.get().selector == {"tags": ["green"]}

    @pytest.mark.parametrize(
        ("share", "count"), [("1 %", 1), ("50 %", 2), ("0.5", 2), ("75 %", 3), ("99 %", 3)]
    )
    def test_a_share_of_the_instances_is_at_least_one_and_never_all(
        self, client: Client, show: Callable[..., None], share: str, count: int
    ) -> None:
        for name in ("two", "three", "four"):
            show("shop", wire.BreakerReport("posts", "closed"), instance=name)
        posted = {"timeout": "100 ms", "action": "rollout", "share": share}
        assert client.post(PAGE, posted).status_code == 302
        chosen = Rollout.objects.get().selector["instances"]
        assert len(chosen) == count
        assert set(chosen) < {"one", "two", "three", "four"}

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"share": "all"}, "all is not a share from 1 % to 99 %"),
            ({"share": "100 %"}, "100 % is not"),
            ({"share": "٥ %"}, "is not a share"),
            ({"share": "50 %"}, "1 connected; a canary needs another instance"),
            ({"share": "50 %", "zones": "eu"}, "leave it empty where you choose others"),
        ],
    )
    def test_a_bad_share_is_refused(
        self, client: Client, show: Callable[..., None], fields: dict[str, str], words: str
    ) -> None:
        answer = client.post(PAGE, {"timeout": "100 ms", "action": "rollout", **fields})
        assert (answer.status_code, words in answer.content.decode()) == (422, True)
        assert not Rollout.objects.exists()

    def test_without_a_connected_instance_nothing_is_begun(self, client: Client) -> None:
        posted = {"timeout": "100 ms", "action": "rollout", "zones": "eu", "metrics_only": "on"}
        answer = client.post(PAGE, posted)
        assert (answer.status_code, b"nothing could be measured" in answer.content) == (422, True)
        assert not Rollout.objects.exists()


def test_rules_of_the_fleet_are_not_sent_and_have_no_canary(
    client: Client, operator: Person
) -> None:
    services.save(operator, "shop", "posts", {"quorum_share": 0.5})
    assert queries.in_force("shop") == []
    posted = {"quorum_share": "60 %", "action": "rollout", "zones": "eu"}
    assert b"have no canary" in client.post(PAGE, posted).content
