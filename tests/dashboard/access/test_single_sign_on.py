"""Single sign-on with a real OpenID provider process; its groups become roles."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.core.cache import cache
from django.test import Client
from oidc_provider_mock import run_server_in_thread

from dashboard.access.authority import visible_services
from dashboard.access.models import Person
from dashboard.access.people import keep_team

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with run_server_in_thread() as server:
        yield f"http://localhost:{server.server_port}"
    assert threading.active_count()


@pytest.fixture
def single_sign_on(provider: str, settings: Any, static_files: None) -> str:
    app = {
        "provider_id": "sso",
        "name": "the company",
        "client_id": "switchgear",
        "secret": "a secret of the test",
        "settings": {"server_url": provider, "scope": ["openid", "profile", "email"]},
    }
    settings.SOCIALACCOUNT_PROVIDERS = {
        "openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": [app]}
    }
    settings.OIDC_ROLES = ["ops=operator", "pay=policy editor@payments"]
    cache.clear()
    return provider


def log_in(provider: str, subject: str, groups: list[str]) -> Client:
    """Log in as a browser does: to the provider, and back with a code."""
    claims = {"preferred_username": subject, "groups": groups}
    httpx.put(f"{provider}/users/{subject}", json=claims).raise_for_status()
    client = Client()
    assert b"Continue with the company" in client.get("/login").content
    there = client.post("/account/oidc/sso/login/")
    assert there.status_code == 302
    assert there["Location"].startswith(provider)
    assert "code_challenge=" in there["Location"]
    back = httpx.post(there["Location"], data={"sub": subject})
    address = re.sub(r"^http://testserver", "", back.headers["location"])
    assert client.get(address).status_code == 302
    return client


def test_groups_become_roles_at_each_log_in(single_sign_on: str) -> None:
    keep_team(None, "payments", ["bank"])
    client = log_in(single_sign_on, "ada", ["ops", "pay", "other"])
    assert client.get("/sessions").status_code == 200
    ada = Person.objects.get()
    assert list(ada.groups.values_list("name", flat=True)) == ["operator"]
    log_in(single_sign_on, "ada", ["pay"])
    ada = Person.objects.get()
    assert not ada.groups.exists()
    assert visible_services(ada).patterns == {"bank"}


def test_who_is_in_no_mapped_group_sees_nothing(single_sign_on: str) -> None:
    log_in(single_sign_on, "eve", [])
    assert not visible_services(Person.objects.get())
