"""Acts through the API: the same services as on the pages, and what needs a second person."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from dashboard.access.models import AuditEntry, Person
from dashboard.access.people import grant_role, keep_person, keep_team
from dashboard.control import preview
from dashboard.control.action_catalogue import ACTS
from dashboard.control.models import Override, PendingAct
from dashboard.fleet.snapshot import reads
from tests.dashboard.api.operators.conftest import Api

ApiOf = Callable[..., Api]
pytestmark = pytest.mark.django_db
TARGET = {"service": "shop", "breaker": "bank"}


def view(service: str, name: str, instances: int, fallback: int = 0) -> dict[str, Any]:
    at = [{"id": f"{service}-{n}", "stale": False} for n in range(instances)]
    return {
        "service": service, "name": name, "state": "closed", "rate": 10.0, "instances": at,
        "counts": {"fallback": fallback}, "override": None,
    }  # fmt: skip


class Fleet:
    """web → shop → bank, as the snapshot has them."""

    breakers = [view("web", "shop", 2), view("shop", "bank", 3, fallback=2), view("api", "bank", 9)]

    def snapshot(self, wanted: Any = None, *_: Any, **__: Any) -> dict[str, Any]:
        names = {each["service"] for each in self.breakers}
        services = [
            {
                "name": name,
                "instances": [],
                "breakers": [each for each in self.breakers if each["service"] == name],
            }
            for name in sorted(names)
            if wanted is None or name in wanted
        ]
        return {"type": "snapshot", "at": 0.0, "now": 0.0, "services": services}

    def breaker(self, service: str, name: str) -> Any:
        for each in self.breakers:
            if (each["service"], each["name"]) == (service, name):
                return each
        return None


@pytest.fixture(autouse=True)
def fleet(monkeypatch: pytest.MonkeyPatch) -> Fleet:
    found = Fleet()
    monkeypatch.setattr(found, "running", lambda: found, raising=False)
    monkeypatch.setattr(reads, "fleet_snapshot", lambda: found)
    return found


def body(**more: Any) -> dict[str, Any]:
    return {"targets": [TARGET], "state": "forced_open", "reason": "INC-1", **more}


def test_an_act_ends_after_half_an_hour_and_can_be_undone(api_of: ApiOf, operator: Person) -> None:
    api = api_of(operator)
    done = api("POST", "/acts", body()).json()
    (override,) = Override.objects.all()
    assert done["parts"][0]["made"] == {"bank": override.id}
    assert (override.expires - override.created).total_seconds() == pytest.approx(1800, abs=5)
    (shown,) = api("GET", "/overrides").json()["items"]
    assert (shown["service"], shown["by"]) == ("shop", "operator")
    assert api("GET", f"/acts/{done['id']}").json()["confirmations"][0]["stands"]
    assert api("POST", f"/acts/{done['id']}/undo", {}).status_code == 200
    assert api("GET", "/overrides").json()["items"] == []


def test_the_api_offers_every_act_of_the_pages(api_of: ApiOf, operator: Person) -> None:
    api = api_of(operator)
    for act in ACTS.values():
        share = {"share": 0.1} if act.state == "forced_partial" else {}
        assert api("POST", "/acts", body(state=act.state, **share)).status_code == 200, act


def test_a_share_is_told_with_its_override_and_refused_where_it_does_not_fit(
    api_of: ApiOf, operator: Person
) -> None:
    api = api_of(operator)
    assert api("POST", "/acts", body(state="forced_partial", share=0.1)).status_code == 200
    (shown,) = api("GET", "/overrides").json()["items"]
    assert (shown["state"], shown["share"]) == ("forced_partial", 0.1)
    for wrong in ({"share": 0.1}, {"state": "forced_partial"}):
        answer = api("POST", "/acts", body(**wrong))
        assert answer.status_code == 422
        assert "share" in answer.text


def test_a_preview_says_what_users_will_see(api_of: ApiOf, operator: Person) -> None:
    targets = [TARGET, {"service": "api", "breaker": "bank"}]
    found = api_of(operator, "read")(
        "POST", "/acts/preview", {"targets": targets, "state": "forced_open"}
    ).json()
    assert found == {
        "calls_per_s": 20.0, "instances": 12, "services": 2, "breakers": 2,
        "fallback_share": 0.5, "upstream": ["web"], "why_approval": "",
    }  # fmt: skip
    assert not AuditEntry.objects.filter(act="forced_open").exists()


def test_services_further_up_are_found_through_others() -> None:
    calls = [("web", "shop"), ("shop", "bank"), ("app", "web"), ("bank", "shop")]
    assert preview.upstream_of(["bank"], calls) == {"shop", "web", "app", "bank"}


def test_an_override_is_extended_shortened_and_handed_over(api_of: ApiOf, operator: Person) -> None:
    keep_person("bob", "operator")
    api = api_of(operator)
    api("POST", "/acts", body())
    id = Override.objects.get().id
    ends = {"expires_in_s": 7200, "reason": "longer"}
    assert api("POST", f"/overrides/{id}/end", ends).status_code == 200
    assert api("POST", f"/overrides/{id}/end", {**ends, "expires_in_s": 60}).status_code == 200
    assert api("POST", f"/overrides/{id}/hand-over", {"to": "bob"}).json()["by"] == "bob"
    nobody = keep_person("eve", "viewer")
    refused = api("POST", f"/overrides/{id}/hand-over", {"to": nobody.username})
    assert refused.json()["errors"][0]["field"] == "to"
    acts = list(AuditEntry.objects.order_by("number").values_list("act", flat=True))
    assert [act for act in acts if act in ("extended", "shortened", "handed over")] == [
        "extended", "shortened", "handed over",
    ]  # fmt: skip


def test_all_that_a_person_holds_goes_back_to_automatic(api_of: ApiOf, operator: Person) -> None:
    api = api_of(operator)
    both = [TARGET, {"service": "api", "breaker": "bank"}]
    api("POST", "/acts", body(targets=both))
    found = api("POST", "/acts/release", {"reason": "over"}).json()
    assert [part["service"] for part in found["parts"]] == ["api", "shop"]
    assert not Override.objects.filter(ended=None).exists()


class TestRoleOnATeam:
    @pytest.fixture
    def bob(self) -> Person:
        bob, root = keep_person("bob", []), keep_person("root", "admin")
        grant_role(root, bob, keep_team(None, "shop", ["shop"]), "operator")
        return bob

    def test_it_sees_and_operates_its_services_alone(self, api_of: ApiOf, bob: Person) -> None:
        api = api_of(bob)
        seen = [each["name"] for each in api("GET", "/services").json()["items"]]
        assert seen == ["shop"]
        assert api("GET", "/services/api").status_code == 404
        assert api("POST", "/acts", body()).status_code == 200
        other = body(targets=[{"service": "api", "breaker": "bank"}])
        assert api("POST", "/acts", other).status_code == 404

    def test_its_audit_trail_is_that_of_its_services(
        self, api_of: ApiOf, bob: Person, operator: Person
    ) -> None:
        other = body(targets=[{"service": "api", "breaker": "bank"}])
        api_of(operator)("POST", "/acts", other)
        api = api_of(bob)
        api("POST", "/acts", body())
        assert {each["service"] for each in api("GET", "/audit").json()["items"]} == {"shop"}


class TestApproval:
    @pytest.fixture(autouse=True)
    def above_two_instances(self, settings: Any) -> None:
        settings.APPROVAL_INSTANCES = 2

    def test_another_person_approves(self, api_of: ApiOf, operator: Person) -> None:
        bob = keep_person("bob", "operator")
        mine = api_of(operator)
        asked = mine("POST", "/acts", body(id="act-00001"))
        assert asked.status_code == 202
        assert "3 instances, more than 2" in asked.json()["pending"]
        assert not Override.objects.exists()
        own = mine("POST", "/approvals/act-00001", {"decision": "approve"})
        assert own.status_code == 403
        theirs = api_of(bob)
        assert [each["id"] for each in theirs("GET", "/approvals").json()] == ["act-00001"]
        approved = theirs("POST", "/approvals/act-00001", {"decision": "approve"})
        assert approved.status_code == 200
        assert Override.objects.get().by == "operator"
        again = theirs("POST", "/approvals/act-00001", {"decision": "approve"})
        assert again.status_code == 422
        assert AuditEntry.objects.filter(act="approval: approved", by="bob").exists()

    def test_a_rejected_act_is_not_performed(self, api_of: ApiOf, operator: Person) -> None:
        api = api_of(operator)
        api("POST", "/acts", body(id="act-00001"))
        assert api("POST", "/approvals/act-00001", {"decision": "reject"}).status_code == 200
        glass = api("POST", "/approvals/act-00001", {"decision": "break_glass"})
        assert glass.status_code == 422
        assert not Override.objects.exists()

    def test_breaking_glass_is_loud(
        self, api_of: ApiOf, operator: Person, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.CRITICAL, "switchgear.control"):
            done = api_of(operator)("POST", "/acts", body(break_glass=True))
        assert done.status_code == 200
        assert "BREAK GLASS: operator" in caplog.text
        assert AuditEntry.objects.filter(act="break glass", service="shop").exists()

    def test_a_viewer_cannot_ask(self, api_of: ApiOf, viewer: Person) -> None:
        assert api_of(viewer)("POST", "/acts", body()).status_code == 403
        assert not PendingAct.objects.exists()

    def test_back_to_automatic_needs_nobody(self, api_of: ApiOf, operator: Person) -> None:
        assert api_of(operator)("POST", "/acts", body(state="automatic")).status_code == 200

    def test_a_proposal_of_a_program_waits_whatever_it_reaches(
        self, api_of: ApiOf, operator: Person, settings: Any
    ) -> None:
        settings.APPROVAL_INSTANCES = 0
        asked = api_of(operator)("POST", "/acts", body(propose=True, break_glass=True))
        assert asked.status_code == 202
        assert not Override.objects.exists()
