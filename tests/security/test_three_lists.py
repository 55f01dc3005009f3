"""Every act that is possible on a page is possible by the API and by the command line: three lists,
compared. A page that takes a form without an entry here fails."""

from __future__ import annotations

from typing import Final, NamedTuple

from tests.security.api_table import OPERATIONS
from tests.security.command_table import COMMANDS
from tests.security.page_table import ADMIN_MODELS, PAGES
from tests.security.roles import NONE


class Ways(NamedTuple):
    """The operations and the commands that do what a page does."""

    operations: tuple[str, ...]
    commands: tuple[str, ...]


def ways(operations: str, commands: str) -> Ways:
    split = (each.strip() for each in commands.split(","))
    return Ways(tuple(operations.split()), tuple(split))


_FORCE: Final = ways("preview_act act", "trip, close, partial, metrics-only, reset, auto")
_RULES: Final = ways("plan_alerts apply_alerts", "alerts plan, alerts apply")
_INCIDENT: Final = (
    "incident acknowledge, incident resolve, incident assign, incident note, incident severity, "
    "incident merge, incident split"
)
ACTS: Final[dict[str, Ways]] = {
    "act": _FORCE,
    "acts": _FORCE,
    "undo": ways("undo_act", "undo"),
    "release_mine": ways("release_all", "auto"),
    "change_override": ways("change_end hand_over", "override"),
    "decide": ways("decide_act", "approve"),
    "record": ways("record_breaker stop_recording", "record"),
    "forget_instance": ways("forget_instance", "forget"),
    "declare_dependents": ways("put_dependents", "dependents"),
    "drills": ways("save_drill", "drill save"),
    "run-drill": ways("run_drill delete_drill", "drill run, drill delete"),
    "stop-drill": ways("stop_drill_run", "drill stop"),
    "kill-path": ways("drill_kill_path", "drill kill-path"),
    "incident-act": ways("act_on_incident", _INCIDENT),
    "silences": ways("add_silence", "silence add"),
    "silence-end": ways("end_silence", "silence end"),
    "rule-new": _RULES,
    "rule": _RULES,
    "channel-test": ways("test_channel", "alerts test"),
    "fleet_policy": ways("apply_policies schedule_policy", "policies apply, policies schedule"),
    "service_policy": ways("apply_policies schedule_policy", "policies apply, policies schedule"),
    "policy": ways(
        "apply_policies schedule_policy start_rollout",
        "policies apply, policies schedule, policies rollout",
    ),
    "policies_overview": ways("apply_policies", "policies apply"),
    "copy_policy": ways("copy_policy", "policies copy"),
    "cancel_scheduled": ways("cancel_scheduled_policy", "policies unschedule"),
    "restore_policy": ways("restore_policy", "policies restore"),
    "decide_rollout": ways("decide_rollout", "policies decide"),
    "what_if": ways("plan_policies", "policies plan"),
    "replay": ways("plan_policies", "policies plan"),
    "keep_view": ways("keep_view", "view keep"),
    "forget_view": ways("forget_view", "view forget"),
    "revoke_session": ways("revoke_session", "session revoke"),
    "revoke_sessions": ways("revoke_sessions", "session revoke"),
    "tokens": ways("create_token", "token create"),
    "revoke_token": ways("revoke_token", "token revoke"),
}
# Models that the admin changes.
ADMIN_ACTS: Final[dict[str, Ways]] = {
    "access_person": ways("keep_person", "person set"),
    "auth_group": ways("keep_person put_team_member", "person set, team grant"),
    "access_servicetoken": ways(
        "create_service_token rotate_service_token revoke_service_token",
        "service-token create, service-token rotate, service-token revoke",
    ),
    "access_statuslink": ways(
        "create_status_link revoke_status_link", "status-link create, status-link revoke"
    ),
    "policies_breakerpolicy": ways("apply_policies", "policies apply"),
    "alerts_route": _RULES,
    "alerts_channel": ways(
        "keep_channel delete_channel", "alerts set-channel, alerts delete-channel"
    ),
    "alerts_silence": ways("add_silence end_silence", "silence add, silence end"),
}
# How one proves who one is, which a program cannot do for a person, and what only a browser needs.
PERSONAL: Final = {
    *(name for name in PAGES if name.startswith(("account_", "mfa_", "socialaccount_"))),
    *("openid_connect_login", "openid_connect_callback", "usersessions_list"),
    *("device", "github-hook", "login", "logout", "first_admin", "icon", "healthz", "readyz"),
}
# Likewise.
PERSONAL_MODELS: Final = {
    *("account_emailaddress", "mfa_authenticator", "usersessions_usersession"),
    *("socialaccount_socialapp", "socialaccount_socialtoken", "socialaccount_socialaccount"),
}
# They take no form: a GET or a POST shows the same.
SHOWN: Final = {
    name
    for name in PAGES
    if name in {
        "metrics", "manifest", "worker", "offline", "status", "status-now", "styleguide",
        "sessions", "fleet", "fleet-history", "fleet-sums", "transitions", "service-history",
        "service-markers", "service-sums", "history", "strips", "wall", "glossary", "map", "tv",
        "timeline", "timeline-events", "timeline-export", "service", "breaker", "policy_latency",
        "in_force", "approvals", "audit", "audit_export", "incidents", "open-incidents",
        "incident", "incident-markdown", "incident-picture", "rules", "drill-run", "moment",
        "moments", "chart-context",
    }
}  # fmt: skip


def test_each_page_that_acts_is_in_the_list() -> None:
    acting = {name for name, (_, senders) in PAGES.items() if senders != NONE}
    assert acting - PERSONAL - SHOWN == set(ACTS)


def test_each_model_that_the_admin_changes_is_in_the_list() -> None:
    changed = {
        model
        for model, pages in ADMIN_MODELS.items()
        if any(pages.get(verb, (None, True))[1] != NONE for verb in ("add", "change", "delete"))
    }
    assert changed - PERSONAL_MODELS == set(ADMIN_ACTS)


def test_each_act_has_operations_and_commands() -> None:
    for name, found in {**ACTS, **ADMIN_ACTS}.items():
        assert set(found.operations) <= set(OPERATIONS), name
        assert set(found.commands) <= set(COMMANDS), name
        assert found.operations, name
        assert found.commands, name


def test_each_operation_that_changes_something_has_a_command() -> None:
    by_page = {id for found in (*ACTS.values(), *ADMIN_ACTS.values()) for id in found.operations}
    reads = {id for id in OPERATIONS if id.startswith(("list_", "get_", "export_", "stream_"))}
    others = {
        # Reads that are sent as POST, and other programs' webhooks.
        *("me", "verify_audit", "lint_policies", "grafana_test", "grafana_annotations"),
        *("github_marker", "gitlab_marker", "add_marker"),
        # Teams and messages have no page of their own.
        "replay_message",
        # The log-in of the command line itself.
        *("begin_device_login", "finish_device_login"),
        *("put_team", "delete_team", "put_team_member", "delete_team_member"),
    }
    assert set(OPERATIONS) - reads - others == by_page - {"put_team_member"}
