"""Every operation of the REST API against every role, with requests that are valid otherwise. A new
operation without a row fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import transaction
from django.test import Client
from django.utils import timezone

from breakers.protocol import paths
from dashboard.access.people import keep_person
from dashboard.access.personal_tokens import SCOPES, create_personal_token
from dashboard.api.agents import published_schema
from dashboard.api.operators.api import api
from tests.security.api_objects import PROPOSED, everything, objects_of
from tests.security.api_table import OPERATIONS
from tests.security.roles import ANONYMOUS, ROLES, groups_of

pytestmark = pytest.mark.django_db


def operations() -> list[tuple[str, str, str]]:
    """Each operation: its id, method and path."""
    return [
        (operation["operationId"], method.upper(), path)
        for path, methods in api.get_openapi_schema()["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_operation_has_a_row_and_every_row_an_operation() -> None:
    assert {id for id, _, _ in operations()} == set(OPERATIONS)


def test_no_operation_is_hidden_by_the_api_of_agents() -> None:
    """Their addresses begin alike, and agents' are answered first."""
    theirs = {paths.REPORTS, paths.ACKS, paths.RECORDINGS, *published_schema.DOCUMENTS}
    assert not theirs & {path for _, _, path in operations()}


@pytest.fixture
def objects() -> Iterator[dict[str, str]]:
    with everything() as found:
        yield found


def client_of(role: str) -> tuple[Client, str]:
    """A client with a token of this role, and the token's id."""
    if role == ANONYMOUS:
        return Client(), "1"
    person = keep_person(role.replace(" ", "-"), groups_of(role))
    token, raw = create_personal_token(
        person, "t", tuple(SCOPES), timezone.now() + timedelta(days=1)
    )
    return Client(HTTP_AUTHORIZATION=f"Bearer {raw}"), str(token.pk)


def request(client: Client, id: str, method: str, path: str, named: dict[str, str]) -> Any:
    row = OPERATIONS[id]
    others = {"decide_act": {"act_id": PROPOSED}, "decide_rollout": {"decision": "stop"}}
    names = {**named, **others.get(id, {})}
    if "service_token" in id:
        names["token_id"] = named["service_token"]
    for name, value in names.items():
        path = path.replace("{" + name + "}", value)
    content = b"" if row.body is None else json.dumps(row.body).encode()
    address = f"{path}?{row.query}" if row.query else path
    return client.generic(method, address, content, "application/json", headers=row.headers)


@pytest.mark.parametrize("role", ROLES)
def test_an_operation_is_open_to_its_roles_alone(role: str, objects: dict[str, str]) -> None:
    client, token = client_of(role)
    wrong = []
    for id, method, path in operations():
        cache.clear()
        with transaction.atomic():
            own = {"token_id": token, **objects_of(role)}
            answer = request(client, id, method, path, {**objects, **own})
            # Each operation finds the objects as they were.
            transaction.set_rollback(True)
        allowed, status = role in OPERATIONS[id].may, answer.status_code
        passed = status < 300 or status == OPERATIONS[id].answer
        if not (passed if allowed else status in (401, 403, 404)):
            wrong.append((id, answer.status_code, answer.content[:200]))
    assert not wrong


@pytest.mark.parametrize("scope", SCOPES)
def test_a_token_does_no_more_than_its_scope(scope: str, objects: dict[str, str]) -> None:
    """An administrator's token with one scope: reading never changes, and other scopes' acts are
    refused."""
    expires = timezone.now() + timedelta(days=1)
    _, raw = create_personal_token(keep_person("other", ["admin"]), "t", (scope,), expires)
    client = Client(HTTP_AUTHORIZATION=f"Bearer {raw}")
    passed = set()
    for id, method, path in operations():
        cache.clear()
        with transaction.atomic():
            own = {"token_id": "1", **objects_of("other")}
            answer = request(client, id, method, path, {**objects, **own})
            transaction.set_rollback(True)
        if answer.status_code not in (401, 403):
            passed.add(id)
    assert passed == {id for id in OPERATIONS if scope in scopes_of(id)}


def scopes_of(id: str) -> set[str]:
    """The scopes that an operation accepts."""
    everyone = set(SCOPES)
    if id.endswith("_device_login"):
        return everyone
    if id in {"me", "revoke_token", "revoke_session", "revoke_sessions"}:
        return everyone
    if id == "create_token":
        return {"read"}  # the one that the request asks for
    if id in {
        "act",
        "undo_act",
        "release_all",
        "change_end",
        "hand_over",
        "decide_act",
        "forget_instance",
    }:
        return {"operate"}
    if id.endswith(("_drill", "_drill_run", "drill_kill_path")) and not id.startswith("get_"):
        return {"operate"}
    if id in {"record_breaker", "stop_recording", "add_marker", "github_marker", "gitlab_marker"}:
        return {"operate"}
    if id in {"act_on_incident", "add_silence", "end_silence"}:
        return {"operate"}
    if id == "apply_policies" or id.endswith(("_policy", "_rollout")):
        return {"policies"}
    words = (
        *(
            "_team",
            "_teams",
            "_member",
            "_people",
            "_person",
            "_channel",
            "_channels",
            "_messages",
            "_message",
        ),
        *("service_token", "service_tokens", "status_link", "status_links"),
    )
    if id in {"apply_alerts", "put_dependents"} or id.endswith(words):
        return {"admin"}
    return {"read"}
