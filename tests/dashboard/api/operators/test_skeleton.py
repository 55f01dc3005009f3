"""What holds for every operation: authentication, scopes, limits, idempotency, ETags, problems."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from dashboard.access import people, personal_tokens
from dashboard.access.authority import may, teams_of, visible_services
from dashboard.access.models import AuditEntry, Person, PersonalToken, Team
from dashboard.access.roles import OPERATE, VIEW
from tests.dashboard.api.operators.conftest import Api

ApiOf = Callable[..., Api]
pytestmark = pytest.mark.django_db


def test_without_a_token_the_answer_is_a_problem_with_status_401() -> None:
    response = Client().get("/api/v1/me")
    assert response.status_code == 401
    assert response["Content-Type"] == "application/problem+json"
    assert response["WWW-Authenticate"] == "Bearer"
    assert response.json()["code"] == "unauthenticated"


def test_a_token_acts_for_its_person(api_of: ApiOf, operator: Person) -> None:
    me = api_of(operator, "read")("GET", "/me").json()
    assert (me["username"], me["scopes"]) == ("operator", ["read"])
    assert me["may"] == {"view": ["*"], "operate": ["*"], "policies": ["*"], "admin": []}


@pytest.mark.parametrize("end", ["expire", "revoke", "deactivate"])
def test_a_token_that_has_ended_is_refused(api_of: ApiOf, operator: Person, end: str) -> None:
    api = api_of(operator)
    token = PersonalToken.objects.get()
    if end == "expire":
        PersonalToken.objects.update(expires=timezone.now())
    elif end == "revoke":
        assert personal_tokens.revoke_personal_token(operator, token)
    else:
        Person.objects.update(is_active=False)
    assert api("GET", "/me").status_code == 401


def test_a_scope_that_is_missing_is_named(api_of: ApiOf, operator: Person) -> None:
    response = api_of(operator, "operate")("GET", "/tokens")
    assert response.status_code == 403
    assert response.json()["code"] == "scope"
    assert "'read'" in response.json()["detail"]


def test_a_token_cannot_create_one_with_more_scopes(api_of: ApiOf, operator: Person) -> None:
    body = {"name": "more", "scopes": ["read", "operate"]}
    response = api_of(operator, "read")("POST", "/tokens", body)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (403, "scopes")


def test_an_invalid_field_is_named(api_of: ApiOf, operator: Person) -> None:
    api = api_of(operator)
    for body, field in (
        ({"name": "x"}, "scopes"),
        ({"name": "", "scopes": ["read"]}, "name"),
        ({"name": "x", "scopes": ["fly"]}, "scopes"),
        ({"name": "x", "scopes": ["read"], "expires_in_days": 0}, "expires_in_days"),
    ):
        response = api("POST", "/tokens", body)
        assert response.status_code == 422
        assert field in [each["field"] for each in response.json()["errors"]], body


def test_a_write_with_the_same_key_is_performed_once(api_of: ApiOf, operator: Person) -> None:
    api = api_of(operator)
    body = {"name": "once", "scopes": ["read"]}
    first, second = (api("POST", "/tokens", body, idempotency_key="k1") for _ in range(2))
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert second["Idempotency-Replayed"] == "true"
    assert PersonalToken.objects.filter(name="once").count() == 1
    other = api("POST", "/tokens", {**body, "name": "other"}, idempotency_key="k1")
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")


def test_requests_are_limited_by_caller_and_by_address(
    api_of: ApiOf, operator: Person, settings: object
) -> None:
    settings.API_RATE = 2  # type: ignore[attr-defined]
    settings.API_ADDRESS_RATE = 1  # type: ignore[attr-defined]
    api = api_of(operator)
    assert api("GET", "/me")["RateLimit"].startswith('"default";r=1;t=')
    assert api("GET", "/me").status_code == 200
    limited = api("GET", "/me")
    assert limited.status_code == 429
    assert int(limited["Retry-After"]) > 0
    assert [Client().get("/api/v1/me").status_code for _ in range(2)] == [401, 429]
    cache.clear()
    assert api("GET", "/me").status_code == 200


def test_a_page_continues_after_the_page_before(api_of: ApiOf, operator: Person) -> None:
    api = api_of(operator)
    for n in range(4):
        api("POST", "/tokens", {"name": f"t{n}", "scopes": ["read"]})
    names, cursor = [], ""
    while True:
        found = api("GET", f"/tokens?limit=2&cursor={cursor}").json()
        names += [each["name"] for each in found["items"]]
        if not (cursor := found["next"]):
            break
    assert names == ["t3", "t2", "t1", "t0", "test"]
    wrong = api("GET", "/tokens?cursor=nonsense")
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "cursor")


def test_a_session_writes_with_its_csrf_token_only(operator: Person) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator)
    assert client.get("/api/v1/me").json()["scopes"] is None
    body = {"name": "page", "scopes": ["read"]}
    refused = client.post("/api/v1/tokens", body, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (403, "csrf")


def test_what_does_not_exist_is_a_problem(api_of: ApiOf, operator: Person) -> None:
    api = api_of(operator)
    for path in ("/nothing", "/services/none", "/tokens/999"):
        response = api("DELETE" if "tokens" in path else "GET", path)
        assert response.status_code == 404
        assert response["Content-Type"] == "application/problem+json"
    wrong = api("PATCH", "/tokens")
    assert (wrong.status_code, set(wrong["Allow"].split(", "))) == (405, {"GET", "POST"})


class TestTeams:
    @pytest.fixture
    def root(self) -> Person:
        return people.keep_person("root", "admin")

    def test_a_write_names_the_version_that_it_is_based_on(
        self, api_of: ApiOf, root: Person
    ) -> None:
        api = api_of(root)
        made = api("PUT", "/teams/pay", {"services": ["pay", "pay-*"]})
        assert made.status_code == 200
        assert api("PUT", "/teams/pay", {"services": []}).status_code == 428
        first = api("PUT", "/teams/pay", {"services": ["pay"]}, if_match=made["ETag"])
        assert first.status_code == 200
        second = api("PUT", "/teams/pay", {"services": ["all"]}, if_match=made["ETag"])
        assert (second.status_code, second["ETag"]) == (412, first["ETag"])
        assert Team.objects.get().services.get().service == "pay"

    def test_a_role_on_a_team_holds_for_its_services_alone(
        self, api_of: ApiOf, root: Person
    ) -> None:
        eve = people.keep_person("eve", [])
        api = api_of(root)
        api("PUT", "/teams/pay", {"services": ["bank", "pay-*"]})
        assert api("PUT", "/teams/pay/members/eve", {"role": "operator"}).json()["roles"] == {
            "eve": "operator"
        }
        assert may(eve, OPERATE, "pay-eu")
        assert may(eve, VIEW, "bank")
        assert not may(eve, OPERATE, "shop")
        assert not visible_services(eve).is_all
        assert [team.name for team in teams_of("pay-eu")] == ["pay"]
        assert api_of(eve)("GET", "/teams").status_code == 403
        assert api_of(eve)("PUT", "/teams/pay/members/eve", {"role": "admin"}).status_code == 403
        api("DELETE", "/teams/pay/members/eve")
        assert not visible_services(eve)
        acts = AuditEntry.objects.values_list("act", flat=True)
        assert {"team kept", "role granted", "role withdrawn"} <= set(acts)

    def test_an_account_without_a_role_sees_nothing(self) -> None:
        eve = people.keep_person("eve", [])
        assert not visible_services(eve)

    def test_a_token_expires_within_a_year(self, operator: Person) -> None:
        with pytest.raises(Exception, match="366 days"):
            personal_tokens.create_personal_token(
                operator, "long", ["read"], timezone.now() + timedelta(days=400)
            )
