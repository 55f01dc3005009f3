"""Every operation of the REST API against every role. A new operation without a row fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from django.core.cache import cache
from django.test import Client

from dashboard.access.people import keep_person
from dashboard.access.personal_tokens import SCOPES, create_personal_token
from dashboard.api.operators.api import api
from dashboard.bus.memory import MemoryBus
from dashboard.fleet.snapshot import process
from dashboard.fleet.snapshot.store import FleetSnapshot

pytestmark = pytest.mark.django_db
ROLES: Final = ("nobody", "viewer", "operator", "policy editor", "admin")
# Who gets past authority, by operation: the answer is then anything but 401 and 403. "*" is all.
# Operations that others own state their own authority; "?" leaves them to their own tests.
ALLOWED: Final[dict[str, str]] = {
    "me": "*",
    "list_tokens": "*",
    "create_token": "*",
    "revoke_token": "*",
    "list_services": "*",
    "get_service": "*",
    "forget_instance": "*",
    "list_overrides": "*",
    "change_end": "*",
    "hand_over": "*",
    "preview_act": "*",
    "act": "*",
    "undo_act": "*",
    "release_all": "*",
    "get_act": "*",
    "list_approvals": "*",
    "decide_act": "*",
    "list_audit": "*",
    "verify_audit": "admin",
    "list_teams": "admin",
    "get_team": "admin",
    "put_team": "admin",
    "delete_team": "admin",
    "put_team_member": "admin",
    "delete_team_member": "admin",
    "record_breaker": "*",
    "list_recordings": "*",
    "stop_recording": "*",
    "list_trips": "*",
    "list_drills": "*",
    "save_drill": "*",
    "delete_drill": "*",
    "run_drill": "*",
    "get_drill_run": "*",
    "stop_drill_run": "*",
    "get_kill_path": "*",
    "drill_kill_path": "*",
    "grafana_test": "*",
    "grafana_annotations": "*",
    "export_alerts": "admin",
    "plan_alerts": "admin",
    "apply_alerts": "admin",
}
OTHERS: Final = frozenset({"policies", "markers"})
BODY: Final[dict[str, Any]] = {
    "name": "t", "scopes": ["read"], "services": [], "role": "viewer", "expires_in_s": 60,
    "reason": "r", "to": "x", "targets": [{"service": "s", "breaker": "b"}],
    "state": "forced_open", "decision": "approve", "anchors": [],
    "document": {},
}  # fmt: skip


def operations() -> list[tuple[str, str, str]]:
    """Each operation: its id, method and path."""
    found = []
    for path, methods in api.get_openapi_schema()["paths"].items():
        for method, operation in methods.items():
            if not OTHERS & set(operation.get("tags", ())):
                found.append((operation["operationId"], method, path))
    return found


def test_every_operation_has_a_row() -> None:
    assert {id for id, _, _ in operations()} == set(ALLOWED)


@pytest.fixture(autouse=True)
def empty_fleet() -> Iterator[None]:
    before = process.replace(FleetSnapshot(MemoryBus(), is_running=True))
    yield
    process.replace(before)


@pytest.fixture
def caller() -> Callable[[str], Client]:
    from datetime import timedelta

    from django.utils import timezone

    cache.clear()

    def make(role: str) -> Client:
        person = keep_person(role.replace(" ", "-"), [] if role == "nobody" else [role])
        expires = timezone.now() + timedelta(days=1)
        _, raw = create_personal_token(person, "t", tuple(SCOPES), expires)
        return Client(HTTP_AUTHORIZATION=f"Bearer {raw}")

    return make


@pytest.mark.parametrize("role", ROLES)
def test_an_operation_is_open_to_its_roles_alone(
    role: str, caller: Callable[[str], Client]
) -> None:
    client = caller(role)
    for id, method, path in operations():
        address = path
        for name in ("service", "team", "username", "act_id", "override_id", "token_id"):
            address = address.replace("{" + name + "}", "99999999")
        answer = client.generic(method.upper(), address, _json(), "application/json")
        may = ALLOWED[id] == "*" or role in ALLOWED[id].split(", ")
        assert answer.status_code < 500, (id, answer.content)
        assert may or answer.status_code == 403, (id, role, answer.status_code)
        if may and ALLOWED[id] != "*":
            assert answer.status_code not in (401, 403), (id, role, answer.content)


def test_without_a_token_every_operation_is_closed() -> None:
    cache.clear()
    for id, method, path in operations():
        address = path.replace("{", "9").replace("}", "9")
        answer = Client().generic(method.upper(), address, _json(), "application/json")
        assert answer.status_code in (401, 429), id


def _json() -> bytes:
    import json

    return json.dumps(BODY).encode()
