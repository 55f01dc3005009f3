"""Before a fleet-wide act the password or a second factor is given again, on the page and by a
session at the API."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from allauth.account.internal.flows import reauthentication
from allauth.mfa.totp.internal.auth import (
    TOTP,
    format_hotp_value,
    generate_totp_secret,
    hotp_value,
    yield_hotp_counters_from_time,
)
from django.contrib.auth.hashers import make_password
from django.core.cache import cache
from django.test import Client

from breakers.protocol import messages as wire
from dashboard.access.models import Person
from dashboard.access.people import keep_person
from dashboard.control.models import Override
from tests.dashboard.web.showing import showing

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
SERVICES = ("api", "web", "bank")


@pytest.fixture(autouse=True)
def fleet(settings: Any, static_files: None) -> Iterator[None]:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cache.clear()
    with showing() as show:
        for service in SERVICES:
            show(service, wire.BreakerReport(name="db", state="closed"))
        yield


@pytest.fixture
def ada(fleet: None) -> Person:
    person = keep_person("ada", ["operator"])
    Person.objects.filter(pk=person.pk).update(password=make_password(PASSWORD))
    return person


@pytest.fixture
def session(ada: Person) -> Client:
    client = Client()
    assert client.post("/login", {"login": "ada", "password": PASSWORD}).status_code == 302
    return client


def everywhere(client: Client) -> Any:
    """Force open every breaker of this name in the fleet, from the page of one."""
    form = {"reason": "r", "expires_in": "900", "scope": "fleet"}
    return client.post(
        "/services/api/breakers/db/force-open", form, headers={"X-Requested-With": "fetch"}
    )


def by_hand(client: Client, *services: str) -> Any:
    """Force open the chosen breakers, as the wall does."""
    targets = json.dumps([[service, "db"] for service in services])
    form = {"reason": "r", "expires_in": "900", "targets": targets}
    return client.post("/acts/force-open", form, headers={"X-Requested-With": "fetch"})


def by_api(client: Client, *services: str) -> Any:
    targets = [{"service": service, "breaker": "db"} for service in services]
    body = {"targets": targets, "state": "forced_open", "reason": "r", "expires_in_s": 60}
    return client.post("/api/v1/acts", body, content_type="application/json")


def confirm(client: Client, password: str = PASSWORD) -> None:
    client.post("/account/reauthenticate/", {"password": password})


def test_a_fleet_wide_act_demands_the_password_again(session: Client) -> None:
    refused = everywhere(session)
    assert refused.status_code == 422
    assert b"Confirm who you are first: /account/reauthenticate/" in refused.content
    confirm(session, "wrong")
    assert everywhere(session).status_code == 422
    assert not Override.objects.exists()
    confirm(session)
    assert everywhere(session).status_code == 200
    assert set(Override.objects.values_list("service", flat=True)) == set(SERVICES)


def test_it_holds_for_five_minutes(session: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    confirm(session)
    now = time.time()
    monkeypatch.setattr(reauthentication.time, "time", lambda: now + 299)
    assert everywhere(session).status_code == 200
    monkeypatch.setattr(reauthentication.time, "time", lambda: now + 301)
    assert everywhere(session).status_code == 422


def test_a_second_factor_will_do(ada: Person, session: Client) -> None:
    secret = generate_totp_secret()
    TOTP.activate(ada, secret)
    assert everywhere(session).status_code == 422
    counter = next(yield_hotp_counters_from_time())
    code = format_hotp_value(hotp_value(secret, counter))
    session.post("/account/2fa/reauthenticate/", {"code": code})
    assert everywhere(session).status_code == 200


@pytest.mark.parametrize("act", [by_hand, by_api])
def test_choosing_every_breaker_by_hand_is_fleet_wide_too(session: Client, act: Any) -> None:
    assert act(session, *SERVICES).status_code in (403, 422)
    assert not Override.objects.exists()
    assert act(session, "api").status_code == 200
    confirm(session)
    assert act(session, *SERVICES).status_code == 200
