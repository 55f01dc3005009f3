"""The table of operations: who may perform each, and a request that is otherwise valid."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from tests.security.roles import ACCOUNTS, ADMINS, EDITORS, EVERYBODY, OPERATORS, VIEWERS

_SHOP_DB: Final = [{"service": "shop", "breaker": "db"}]
_POLICY: Final = {"fleet": {}, "services": {"shop": {"all": {"timeout": "250 ms"}}}}
_RULE: Final = {"rules": {}, "routes": {}, "silences": []}
_PEOPLE: Final = {"If-Match": "*"}


@dataclass(frozen=True)
class Row:
    """Who may perform an operation, with which query, body and headers. `answer` is the status of
    a request that was allowed, if it is no success."""

    may: frozenset[str]
    body: Any = None
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    answer: int = 200


OPERATIONS: Final[dict[str, Row]] = {
    # Before the log-in of a command line.
    "begin_device_login": Row(EVERYBODY, {"name": "t", "scopes": ["read"]}),
    "finish_device_login": Row(EVERYBODY, {"device_code": "none"}, answer=400),
    # One's own account.
    "me": Row(ACCOUNTS),
    "list_tokens": Row(ACCOUNTS),
    "create_token": Row(ACCOUNTS, {"name": "t", "scopes": ["read"]}),
    "revoke_token": Row(ACCOUNTS),
    "list_sessions": Row(ACCOUNTS),
    "revoke_session": Row(ACCOUNTS),
    "revoke_sessions": Row(ACCOUNTS),
    "list_views": Row(VIEWERS),
    "keep_view": Row(VIEWERS, {"name": "v"}),
    "forget_view": Row(VIEWERS),
    # The fleet.
    "list_incidents": Row(VIEWERS),
    "get_incident": Row(VIEWERS),
    "list_silences": Row(VIEWERS),
    "list_services": Row(VIEWERS),
    "get_service": Row(VIEWERS),
    "list_overrides": Row(VIEWERS),
    "preview_act": Row(VIEWERS, {"targets": _SHOP_DB, "state": "forced_open"}),
    "get_act": Row(VIEWERS),
    "list_approvals": Row(VIEWERS),
    "list_recordings": Row(VIEWERS, query="service=shop"),
    "list_trips": Row(VIEWERS, query="service=shop&breaker=db"),
    "list_markers": Row(VIEWERS),
    "grafana_test": Row(VIEWERS),
    "grafana_annotations": Row(
        VIEWERS,
        {"range": {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"},
         "annotation": {"name": "a", "query": ""}},
    ),
    "list_audit": Row(VIEWERS),
    "export_policies": Row(VIEWERS),
    "list_refusals": Row(VIEWERS, query="service=shop"),
    "plan_policies": Row(VIEWERS, {"document": _POLICY}),
    "lint_policies": Row(VIEWERS),
    "stream_events": Row(VIEWERS, query="seconds=1"),
    # Acts.
    "act": Row(
        OPERATORS,
        {"targets": _SHOP_DB, "state": "forced_open", "reason": "r", "expires_in_s": 60},
    ),
    "undo_act": Row(OPERATORS, {}),
    "release_all": Row(OPERATORS, {"reason": "r", "by": "root"}),
    "change_end": Row(OPERATORS, {"expires_in_s": 120, "reason": "r"}),
    "hand_over": Row(OPERATORS, {"to": "root"}),
    "decide_act": Row(OPERATORS, {"decision": "approve"}),
    "record_breaker": Row(OPERATORS, {"service": "shop", "breaker": "cache", "reason": "r"}),
    "stop_recording": Row(OPERATORS, {}),
    "add_marker": Row(OPERATORS, {"text": "deploy", "service": "shop"}),
    "github_marker": Row(
        OPERATORS, {"repository": {"name": "shop"}, "deployment": {"id": 1, "ref": "main"}}
    ),
    "gitlab_marker": Row(
        OPERATORS,
        {"object_kind": "deployment", "status": "success", "project": {"name": "shop"},
         "deployment_id": 1, "ref": "main"},
    ),
    # The instance still reports: whoever may ask is told so.
    "get_dependents": Row(VIEWERS),
    "put_dependents": Row(ADMINS, {"dependents": ["web"], "quorum": 1}, headers=_PEOPLE),
    "forget_instance": Row(OPERATORS, answer=422),
    "act_on_incident": Row(OPERATORS, {}),
    "add_silence": Row(OPERATORS, {"service": "shop", "reason": "r"}),
    "end_silence": Row(OPERATORS),
    # Drills. No kill path was drilled yet, which is said to whoever may ask.
    "list_drills": Row(VIEWERS),
    "get_drill_run": Row(VIEWERS),
    "get_kill_path": Row(VIEWERS, answer=404),
    "save_drill": Row(OPERATORS, {"service": "shop", "breaker": "db", "kind": "error"}),
    "delete_drill": Row(OPERATORS),
    "run_drill": Row(OPERATORS, {"reason": "r"}),
    "stop_drill_run": Row(OPERATORS, {}),
    "drill_kill_path": Row(OPERATORS, {}),
    # Policies.
    "apply_policies": Row(EDITORS, {"document": _POLICY, "reason": "r"}),
    "restore_policy": Row(EDITORS),
    "copy_policy": Row(
        EDITORS, {"service": "shop", "breaker": "db", "source": {"service": "shop"}}
    ),
    "schedule_policy": Row(
        EDITORS,
        {"service": "shop", "breaker": "db", "fields": {"timeout": "250 ms"},
         "starts": "2099-01-01T00:00:00Z"},
    ),
    "cancel_scheduled_policy": Row(EDITORS),
    "start_rollout": Row(
        EDITORS,
        {"service": "shop", "breaker": "cache", "fields": {"timeout": "250 ms"},
         "selector": {"instances": ["one"]}},
    ),
    "decide_rollout": Row(EDITORS),
    # Administration.
    "test_channel": Row(ADMINS),
    "list_channels": Row(ADMINS),
    "keep_channel": Row(
        ADMINS,
        {"kind": "webhook", "url": "https://example.com", "secret": "x"},
        headers=_PEOPLE,
    ),
    "delete_channel": Row(ADMINS, headers=_PEOPLE),
    "list_messages": Row(ADMINS),
    "replay_message": Row(ADMINS),
    "list_people": Row(ADMINS),
    "keep_person": Row(ADMINS, {"username": "member", "roles": ["viewer"]}),
    "list_service_tokens": Row(ADMINS),
    "create_service_token": Row(ADMINS, {"service": "shop"}),
    "rotate_service_token": Row(ADMINS),
    "revoke_service_token": Row(ADMINS),
    "list_status_links": Row(ADMINS),
    "create_status_link": Row(ADMINS, {"name": "l"}),
    "revoke_status_link": Row(ADMINS),
    "export_alerts": Row(ADMINS),
    "plan_alerts": Row(ADMINS, {"document": _RULE}),
    "apply_alerts": Row(ADMINS, {"document": _RULE, "reason": "r"}),
    "verify_audit": Row(ADMINS, {"anchors": []}),
    "list_teams": Row(ADMINS),
    "get_team": Row(ADMINS),
    "put_team": Row(ADMINS, {"services": ["bank"]}, headers=_PEOPLE),
    "delete_team": Row(ADMINS, headers=_PEOPLE),
    "put_team_member": Row(ADMINS, {"role": "viewer"}),
    "delete_team_member": Row(ADMINS),
}  # fmt: skip
