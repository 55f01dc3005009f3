"""One dashboard for the journeys of people: single sign-on, passkeys, a second person for large
acts. It is addressed as localhost, because browsers create no passkeys for IP addresses."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e.dashboard_server import Site, breaker, running_site
from tests.examples.running import eventually, http, running
from tests.servers import free_port

# Who logs in by which means. Each has a person of their own, so that the tests need no order.
BY_TOTP, BY_PASSKEY, REVOKER = "tessa", "pascal", "rita"
INSTANCES = ("one", "two")
_CREATE = """
from django.contrib.auth.hashers import make_password
from dashboard.access.models import Person
from dashboard.access.people import keep_person
for name in {names}:
    keep_person(name, "viewer")
    Person.objects.filter(username=name).update(password=make_password({password!r}))
print("true")
"""
PASSWORD = "a password for the journeys"


@pytest.fixture(scope="session")
def provider() -> Iterator[str]:
    """A process of an OpenID provider, with one person in the group `ops`."""
    port = free_port()
    claims = {"sub": "olga", "preferred_username": "olga", "groups": ["ops"]}
    arguments = ("--port", str(port), "--host", "localhost", "--user-claims", json.dumps(claims))
    with running("oidc_provider_mock", *arguments):
        url = f"http://localhost:{port}"
        found = f"{url}/.well-known/openid-configuration"
        eventually(lambda: http.get(found).status_code == 200, 20)
        yield url


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory, provider: str) -> Iterator[Site]:
    """A dashboard with single sign-on, on which acts on two instances need a second person."""
    settings = {
        "SWITCHGEAR_OIDC_URL": provider,
        "SWITCHGEAR_OIDC_NAME": "the company",
        "SWITCHGEAR_OIDC_CLIENT_ID": "switchgear",
        "SWITCHGEAR_OIDC_SECRET": "a secret of the test",
        "SWITCHGEAR_OIDC_ROLES": "ops=operator",
        "SWITCHGEAR_APPROVAL_INSTANCES": "1",
    }
    home = tmp_path_factory.mktemp("company")
    with running_site(home, filled=False, **settings) as site:
        site.dashboard.url = site.dashboard.url.replace("127.0.0.1", "localhost")
        names = (BY_TOTP, BY_PASSKEY, REVOKER)
        site.dashboard.python(_CREATE.format(names=names, password=PASSWORD))
        site.passwords |= dict.fromkeys(names, PASSWORD)
        for each in INSTANCES:
            site.report("bank", breaker("ledger"), breaker("cards"), instance=each)
        yield site
