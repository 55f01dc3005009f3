"""Fixtures: a running dashboard, and somebody of each role there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.dashboard.child_process import Embedded, embedded_dashboard
from tests.security.roles import ANONYMOUS, ROLES, groups_of

_CREATE = """
from datetime import timedelta
from importlib import import_module
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.utils import timezone
from dashboard.access.people import keep_person
from dashboard.access.personal_tokens import SCOPES, create_personal_token
person = keep_person({name!r}, {groups!r})
_, token = create_personal_token(person, "t", tuple(SCOPES), timezone.now() + timedelta(days=1))
session = import_module(settings.SESSION_ENGINE).SessionStore()
session[SESSION_KEY] = str(person.pk)
session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
session[HASH_SESSION_KEY] = person.get_session_auth_hash()
session.save()
print(json.dumps([token, session.session_key]))
"""


@dataclass
class Live:
    """A dashboard; a personal token with every scope and a session of each role."""

    dashboard: Embedded
    tokens: dict[str, str]
    cookies: dict[str, str]
    service_token: str

    @property
    def url(self) -> str:
        return self.dashboard.url

    @property
    def socket_url(self) -> str:
        return self.url.replace("http", "ws", 1)


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("live")
    generous = {"SWITCHGEAR_API_RATE": "1000000", "SWITCHGEAR_CHECKPOINT": "0.1"}
    with embedded_dashboard(home, **generous) as dashboard:
        live = Live(dashboard, {}, {}, dashboard.token("shop"))
        for role in ROLES:
            if role != ANONYMOUS:
                name = role.replace(" ", "-")
                token, key = dashboard.python(_CREATE.format(name=name, groups=groups_of(role)))
                live.tokens[role] = token
                live.cookies[role] = f"sessionid={key}"
        yield live
