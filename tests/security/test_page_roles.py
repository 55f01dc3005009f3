"""Every page of people, of the account and of the admin against every role. An address without a
row fails, and so does a row without an address."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from breakers.protocol import messages as wire
from dashboard.access.models import AuditEntry
from dashboard.access.people import keep_person
from dashboard.control.models import Act, Override
from dashboard.policies.models import PolicyVersion
from tests.dashboard.web.showing import showing
from tests.security.page_table import ADMIN_MODELS, ADMIN_SITE, PAGES
from tests.security.roles import ADMINS, ANONYMOUS, NONE, ROLES, STAFF, groups_of

pytestmark = pytest.mark.django_db
# Ends the session of the test; what it demands is a session.
LOGS_OUT: Final = frozenset({"logout", "account_logout", "admin:logout"})
VERBS: Final = ("changelist", "add", "history", "delete", "change")
VALUES: Final = {
    "service": "shop", "breaker": "db", "slug": "force-open", "format": "csv",
    "decision": "cancel", "act": "acknowledge", "uidb36": "1", "key": "x", "app_label": "access",
    "provider_id": "sso", "url": "x",
}  # fmt: skip
FORM: Final = {
    "reason": "because", "expires_in": "900", "seconds": "60", "decision": "approve",
    "minutes": "5", "targets": '[["shop", "db"]]', "name": "n", "query": "",
}  # fmt: skip


def pages(patterns: Any = None, prefix: str = "", space: str = "") -> Iterator[tuple[str, str]]:
    """Each address outside of the API: its name and its pattern."""
    for each in get_resolver().url_patterns if patterns is None else patterns:
        route = prefix + str(each.pattern)
        if isinstance(each, URLPattern):
            yield space + (each.name or ""), route
        elif isinstance(each, URLResolver) and each.namespace != "operators":
            inner = f"{each.namespace}:" if each.namespace else space
            yield from pages(each.url_patterns, route, inner)


def address(route: str) -> str:
    """An address of a pattern."""

    def value(found: re.Match[str]) -> str:
        return VALUES.get(found[2], "99999")

    plain = re.sub(
        r"<(\w+:)?(\w+)>", value, re.sub(r"\(\?P(<\w+>)(\[[^\]]*\][+*]?|[^)])*\)", r"\1", route)
    )
    return "/" + re.sub(r"[\^$\\]|\\Z", "", plain)


def rows() -> list[tuple[str, str, tuple[frozenset[str], frozenset[str]]]]:
    """Each page with who may read it and who may send to it."""
    found = []
    for name, route in pages():
        model = re.fullmatch(r"admin:(\w+)_(\w+)", name)
        if model and model[2] in VERBS and model[1] in ADMIN_MODELS:
            # A row that does not exist has a history for every member of staff: there is none.
            rest = (STAFF, STAFF) if model[2] == "history" else (ADMINS, ADMINS)
            found.append((name, route, ADMIN_MODELS[model[1]].get(model[2], rest)))
        elif name == "admin:":
            found.append((name, route, (STAFF, STAFF)))
        elif name.startswith("admin:"):
            found.append((name, route, ADMIN_SITE[name]))
        elif name:
            found.append((name, route, PAGES[name]))
    return found


def test_every_page_has_a_row_and_every_row_a_page() -> None:
    names = {name for name, _ in pages() if name}
    models = {
        found[1] for name in names if (found := re.fullmatch(r"admin:(\w+_\w+)_change", name))
    }
    assert models - {"auth_user_password"} == set(ADMIN_MODELS)
    site = {name for name in names if name.startswith("admin:") and name != "admin:"}
    by_model = {f"admin:{model}_{verb}" for model in ADMIN_MODELS for verb in VERBS}
    assert site - by_model == set(ADMIN_SITE)
    assert {name for name in names if not name.startswith("admin:")} == set(PAGES)


@pytest.fixture
def fleet() -> Iterator[None]:
    with showing() as show:
        show("shop", wire.BreakerReport(name="db", state="closed"))
        yield


def client_of(role: str) -> Client:
    client = Client()
    if role != ANONYMOUS:
        client.force_login(keep_person(role.replace(" ", "-"), groups_of(role)))
    return client


def is_refused(answer: HttpResponse) -> bool:
    """Whether authority refused a request: to the login, or with 401 or 403."""
    where = answer.headers.get("Location", "")
    to_login = answer.status_code == 302 and re.match(r"/(login|account/login|admin/login)", where)
    return bool(to_login) or answer.status_code in (401, 403)


@pytest.mark.parametrize("role", ROLES)
def test_a_page_is_open_to_its_roles_alone(role: str, fleet: None, static_files: None) -> None:
    client = client_of(role)
    wrong = []
    for name, route, (readers, senders) in rows():
        path = address(route)
        for method, may in (("get", readers), ("post", senders)):
            if name in LOGS_OUT and role != ANONYMOUS:
                continue
            cache.clear()
            answer = getattr(client, method)(path, FORM if method == "post" else None)
            assert answer.status_code < 500 or name == "readyz", (name, method, role)
            # What it does not take from anybody is no answer of authority.
            if answer.status_code != 405 and is_refused(answer) == (role in may):
                wrong.append(
                    (name, path, method, answer.status_code, answer.headers.get("Location"))
                )
    assert not wrong


@pytest.mark.parametrize("role", [each for each in ROLES if each not in ADMINS | {"operator"}])
def test_whoever_may_not_operate_changes_no_override(
    role: str, fleet: None, static_files: None
) -> None:
    client = client_of(role)
    for _, route, _ in rows():
        client.post(address(route), FORM)
    assert not Act.objects.exists()
    assert not Override.objects.exists()
    assert role == "policy editor" or not PolicyVersion.objects.exists()
    acts = set(AuditEntry.objects.values_list("act", flat=True))
    # One's own account, and the refusals themselves.
    assert acts <= {"refused", "roles set", "sessions revoked", "logged out", "login failed"} | (
        NONE if role != "policy editor" else {"policy", "admin edit"}
    )
