"""The forms behind the buttons, as a browser without scripts meets them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from breakers.protocol import messages as wire
from dashboard.access.models import AuditEntry, Person
from dashboard.control.models import Override
from dashboard.policies.models import BreakerPolicy
from dashboard.web import action_views
from tests.dashboard.web.showing import showing

pytestmark = pytest.mark.usefixtures("static_files", "posts")
URL = "/services/shop/breakers/posts/force-open"
FETCH = {"X-Requested-With": "fetch"}
GOOD = {"reason": "posts is down", "expires_in": "900"}


@pytest.fixture
def posts(db: None) -> None:
    """The shop has reported a breaker named posts."""
    BreakerPolicy.objects.create(service="shop", breaker="posts", declared={"timeout": 0.5})


@pytest.fixture
def client(operator: Person) -> Client:
    client = Client()
    client.force_login(operator)
    return client


def test_an_operator_forces_a_breaker_open(client: Client) -> None:
    answer = client.post(URL, GOOD)
    assert answer.status_code == 302
    assert answer["Location"] == "/services/shop/breakers/posts"
    override = Override.objects.get()
    assert (override.state, override.by, override.reason) == (
        "forced_open",
        "operator",
        "posts is down",
    )
    left = override.expires - timezone.now()
    assert timedelta(seconds=890) < left <= timedelta(seconds=900)
    assert AuditEntry.objects.get().act == "forced_open"


def test_a_script_gets_the_outcome_as_json(client: Client) -> None:
    answer = client.post(URL, {**GOOD, "act_id": "act-0001"}, headers=FETCH)
    assert answer.status_code == 200
    told = answer.json()
    assert (told["id"], told["state"]) == ("act-0001", "forced_open")
    assert told["parts"] == [
        {"service": "shop", "made": {"posts": Override.objects.get().id}, "kept": {}, "error": ""}
    ]


def test_a_script_gets_the_inside_of_a_dialog(client: Client) -> None:
    page = client.get(URL, headers=FETCH).content.decode()
    assert "<form" in page
    assert "<html" not in page


def test_back_to_automatic_lifts_it(client: Client) -> None:
    client.post(URL, GOOD)
    client.post("/services/shop/breakers/posts/automatic", {"reason": "well again"})
    override = Override.objects.get()
    assert override.ended is not None
    assert override.ended_why == "well again"


@pytest.mark.parametrize(
    ("changed", "field", "says"),
    [
        ({"reason": ""}, "reason", "Give a reason"),
        ({"reason": "   "}, "reason", "Give a reason"),
        ({"reason": "x" * 501}, "reason", "500"),
        ({"expires_in": "7"}, "expires_in", "times offered"),
        ({"expires_in": ""}, "expires_in", "required"),
        ({"expires_in": "until"}, "until", "until when"),
        ({"expires_in": "until", "until": "yesterday"}, "until", "valid"),
    ],
)
def test_errors_are_shown_at_their_fields(
    client: Client, changed: dict[str, str], field: str, says: str
) -> None:
    answer = client.post(URL, {**GOOD, **changed})
    assert answer.status_code == 422
    assert says in str(answer.context["form"].errors[field])
    assert not Override.objects.exists()


@pytest.mark.parametrize(
    ("from_now", "says"),
    [(timedelta(minutes=-5), "in the past"), (timedelta(days=8), "At most 7 days")],
)
def test_an_end_in_the_past_or_too_far_is_refused_at_the_field(
    client: Client, from_now: timedelta, says: str
) -> None:
    until = (timezone.now() + from_now).strftime("%Y-%m-%dT%H:%M")
    answer = client.post(URL, {**GOOD, "expires_in": "until", "until": until})
    assert answer.status_code == 422
    assert says in str(answer.context["form"].errors["until"])
    assert not Override.objects.exists()


def test_an_end_within_a_week_is_taken(client: Client) -> None:
    until = (timezone.now() + timedelta(days=3)).strftime("%Y-%m-%dT%H:%M")
    assert client.post(URL, {**GOOD, "expires_in": "until", "until": until}).status_code == 302


def test_a_viewer_may_not(viewer: Person) -> None:
    client = Client()
    client.force_login(viewer)
    assert client.get(URL).status_code == 403
    assert client.post(URL, GOOD).status_code == 403
    assert not Override.objects.exists()


def test_anonymous_users_are_redirected_to_login() -> None:
    answer = Client().post(URL, GOOD)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/login?next=")


def test_a_forged_post_is_refused(operator: Person) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator)
    assert client.post(URL, GOOD).status_code == 403


@pytest.mark.parametrize(
    "url",
    [
        "/services/shop/breakers/nobody/force-open",
        "/services/nobody/breakers/posts/force-open",
        "/services/shop/breakers/posts/explode",
        "/services/shop/breakers/nobody",
    ],
)
def test_unknown_targets_are_404(client: Client, url: str) -> None:
    assert client.get(url).status_code == 404


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_other_methods_are_405(client: Client, method: str) -> None:
    send: Any = getattr(client, method)
    assert send(URL).status_code == 405


class TestMany:
    """Acts on several breakers, as the wall's script asks for them."""

    MANY = "/acts/force-open"

    @pytest.fixture(autouse=True)
    def fleet(self) -> Iterator[None]:
        with showing() as shown:
            self._report(shown)
            yield

    @staticmethod
    def _report(shown: Callable[..., None]) -> None:
        counts = wire.Counts(success=50)
        posts = wire.BreakerReport(name="posts", state="closed", counts=counts)
        users = wire.BreakerReport(name="users", state="closed", counts=counts)
        shown("shop", posts, users)
        shown("shop", posts, instance="two")
        shown("bank", posts)

    def post(self, client: Client, *targets: tuple[str, str], **more: Any) -> Any:
        body = {"targets": json.dumps(targets), **more}
        return client.post(self.MANY, body, headers=FETCH)

    def test_the_preview_states_the_reach(self, client: Client) -> None:
        answer = self.post(client, ("shop", "posts"), ("shop", "users"), preview="1")
        assert answer.status_code == 200
        near, far = answer.context["scopes"]
        assert near.sentence.startswith("Blocks 15 calls/s from 2 instances of 1 service.")
        assert far.sentence.startswith("Blocks 20 calls/s from 3 instances of 2 services.")
        assert "Whether callers have a fallback is not known" in near.sentence
        assert not Override.objects.exists()

    def test_all_that_were_chosen_are_forced(self, client: Client) -> None:
        answer = self.post(client, ("shop", "posts"), ("shop", "users"), ("bank", "posts"), **GOOD)
        assert answer.status_code == 200
        assert [part["service"] for part in answer.json()["parts"]] == ["bank", "shop"]
        assert Override.objects.filter(ended=None).count() == 3

    def test_fleet_wide_takes_the_namesakes_too_after_a_step_up(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        refused = self.post(client, ("shop", "posts"), scope="fleet", **GOOD)
        assert b"/account/reauthenticate/" in refused.content
        monkeypatch.setattr(action_views, "did_recently_reauthenticate", lambda request: True)
        self.post(client, ("shop", "posts"), scope="fleet", **GOOD)
        forced = Override.objects.values_list("service", "breaker")
        assert set(forced) == {("shop", "posts"), ("bank", "posts")}

    def test_some_instances_only(self, client: Client) -> None:
        self.post(client, ("shop", "posts"), scope="instances", instances=["two"], **GOOD)
        assert Override.objects.get().instances == ["two"]

    def test_some_instances_means_at_least_one(self, client: Client) -> None:
        answer = self.post(client, ("shop", "posts"), scope="instances", **GOOD)
        assert answer.status_code == 422
        assert "at least one" in answer.content.decode()
        assert not Override.objects.exists()

    @pytest.mark.parametrize(
        ("targets", "says"),
        [
            ("nonsense", "Not a list"),
            ('[["shop"]]', "Not a list"),
            ('[["shop", "no"]]', "no of shop"),
        ],
    )
    def test_what_cannot_be_meant_is_refused(self, client: Client, targets: str, says: str) -> None:
        answer = client.post(self.MANY, {"targets": targets, **GOOD}, headers=FETCH)
        assert answer.status_code == 400
        assert says in str(answer.json()["errors"]["targets"])
        assert not Override.objects.exists()

    def test_none_chosen_is_said(self, client: Client) -> None:
        assert self.post(client, **GOOD).status_code == 400

    def test_undo_puts_it_back(self, client: Client) -> None:
        self.post(client, ("shop", "posts"), ("bank", "posts"), act_id="act-0001", **GOOD)
        answer = client.post("/acts/act-0001/undo", {"act_id": "undo-001"})
        assert answer.status_code == 200
        assert not Override.objects.filter(ended=None).exists()

    def test_undo_of_nothing_is_said(self, client: Client) -> None:
        answer = client.post("/acts/act-9999/undo")
        assert answer.status_code == 400
        assert "no act" in str(answer.json()["errors"])

    def test_a_viewer_may_not_preview_act_or_undo(self, viewer: Person) -> None:
        client = Client()
        client.force_login(viewer)
        assert self.post(client, ("shop", "posts"), preview="1").status_code == 403
        assert self.post(client, ("shop", "posts"), **GOOD).status_code == 403
        assert client.post("/acts/act-0001/undo").status_code == 403


class TestLimit:
    URL = "/services/shop/breakers/posts/partial"

    def test_a_share_in_per_cent_is_let_through(self, client: Client) -> None:
        assert client.post(self.URL, {**GOOD, "share": "5"}).status_code == 302
        row = Override.objects.get()
        assert (row.state, row.share) == ("forced_partial", 0.05)

    @pytest.mark.parametrize(
        ("share", "said"),
        [("", "Say which share"), ("0", "force open"), ("101", "At most 100"), ("x", "whole")],
    )
    def test_what_is_no_share_is_told_at_its_field(
        self, client: Client, share: str, said: str
    ) -> None:
        answer = client.post(self.URL, {**GOOD, "share": share}, headers=FETCH)
        assert answer.status_code == 422
        assert said in answer.content.decode()
        assert not Override.objects.exists()
