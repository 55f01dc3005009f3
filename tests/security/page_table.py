"""The table of pages: who may read each, and who may send to it.

What a page checks only of the object that it is sent (whose token, which service) is tested where
the object is; here an object does not exist, which is said to everybody who may ask.
"""

from __future__ import annotations

from typing import Final

from tests.security.roles import (
    ACCOUNTS,
    ADMINS,
    EDITORS,
    EVERYBODY,
    NONE,
    OPERATORS,
    STAFF,
    VIEWERS,
)

Row = tuple[frozenset[str], frozenset[str]]
_OWN: Final[Row] = (ACCOUNTS, ACCOUNTS)
_OPEN: Final[Row] = (EVERYBODY, EVERYBODY)
_SEEN: Final[Row] = (VIEWERS, VIEWERS)
_SHUT: Final[Row] = (NONE, NONE)

PAGES: Final[dict[str, Row]] = {
    # For machines.
    "healthz": _OPEN,
    "readyz": _OPEN,
    "metrics": _OWN,
    # Without data, before the log-in.
    "icon": _OPEN,
    "manifest": _OPEN,
    "worker": _OPEN,
    "offline": _OPEN,
    "login": _OPEN,
    "first_admin": _OPEN,
    # Their token is the authority.
    "status": _OPEN,
    "status-now": _OPEN,
    # Before the log-in, of allauth; nobody can sign up.
    "account_inactive": _OPEN,
    "account_signup": _OPEN,
    "account_email_verification_sent": _OPEN,
    "account_reset_password": _OPEN,
    "account_confirm_email": _OPEN,
    "account_reset_password_from_key_done": _OPEN,
    "account_reset_password_from_key": _OPEN,
    "account_reset_password_done": _OPEN,
    "socialaccount_login_cancelled": _OPEN,
    "openid_connect_login": _OPEN,
    "openid_connect_callback": _OPEN,
    # Its signature is the authority. Without a secret there is no such page.
    "github-hook": _OPEN,
    # They only lead to the log-in.
    "account_login": _SHUT,
    "account_logout": _SHUT,
    "socialaccount_login_error": _SHUT,
    "socialaccount_signup": _SHUT,
    # One's own account.
    "styleguide": _OWN,
    "logout": _OWN,
    "sessions": _OWN,
    "revoke_session": _OWN,
    "revoke_sessions": _OWN,
    "device": _OWN,
    "tokens": _OWN,
    "revoke_token": _OWN,
    "account_reauthenticate": _OWN,
    "account_email": _OWN,
    "account_change_password": _OWN,
    "account_set_password": _OWN,
    "account_confirm_login_code": _OWN,
    "mfa_index": _OWN,
    "mfa_authenticate": _OWN,
    "mfa_reauthenticate": _OWN,
    "mfa_activate_totp": _OWN,
    "mfa_deactivate_totp": _OWN,
    "mfa_view_recovery_codes": _OWN,
    "mfa_generate_recovery_codes": _OWN,
    "mfa_download_recovery_codes": _OWN,
    "mfa_list_webauthn": _OWN,
    "mfa_add_webauthn": _OWN,
    "mfa_reauthenticate_webauthn": _OWN,
    "mfa_remove_webauthn": _OWN,
    "mfa_edit_webauthn": _OWN,
    "mfa_login_webauthn": _OWN,
    "socialaccount_connections": _OWN,
    "usersessions_list": _OWN,
    # Of the fleet. Who may act there is checked of each service and object.
    "fleet": _SEEN,
    "fleet-history": _SEEN,
    "fleet-sums": _SEEN,
    "transitions": _SEEN,
    "service-history": _SEEN,
    "service-markers": _SEEN,
    "service-sums": _SEEN,
    "history": _SEEN,
    "strips": _SEEN,
    "chart-context": _SEEN,
    "moment": _SEEN,
    "moments": _SEEN,
    "wall": _SEEN,
    "glossary": _SEEN,
    "map": _SEEN,
    "tv": _SEEN,
    "timeline": _SEEN,
    "timeline-events": _SEEN,
    "timeline-export": _SEEN,
    "service": _SEEN,
    "breaker": _SEEN,
    "policies_overview": _SEEN,
    "replay": _SEEN,
    "cancel_scheduled": _SEEN,
    "restore_policy": _SEEN,
    "decide_rollout": _SEEN,
    "policy_latency": _SEEN,
    "in_force": _SEEN,
    "change_override": _SEEN,
    "approvals": _SEEN,
    "decide": _SEEN,
    "audit": _SEEN,
    "audit_export": _SEEN,
    "incidents": _SEEN,
    "open-incidents": _SEEN,
    "incident": _SEEN,
    "incident-markdown": _SEEN,
    "incident-picture": _SEEN,
    "incident-act": _SEEN,
    "silences": _SEEN,
    "silence-end": _SEEN,
    "rules": _SEEN,
    "channel-test": _SEEN,
    "keep_view": _SEEN,
    "forget_view": _SEEN,
    # Acts.
    "act": (OPERATORS, OPERATORS),
    "acts": (NONE, OPERATORS),
    "undo": (NONE, OPERATORS),
    "record": (NONE, OPERATORS),
    "kill-path": (NONE, OPERATORS),
    "drills": (VIEWERS, VIEWERS),
    "run-drill": (NONE, VIEWERS),
    "stop-drill": (NONE, VIEWERS),
    "drill-run": (VIEWERS, NONE),
    "release_mine": (NONE, OPERATORS),
    "declare_dependents": (NONE, ADMINS),
    "forget_instance": (NONE, OPERATORS),
    # Policies.
    "fleet_policy": (VIEWERS, EDITORS),
    "service_policy": (VIEWERS, EDITORS),
    "policy": (VIEWERS, EDITORS),
    "copy_policy": (NONE, EDITORS),
    "what_if": (NONE, EDITORS),
    # Alert rules.
    "rule-new": (ADMINS, ADMINS),
    "rule": (ADMINS, ADMINS),
}

_ADMIN: Final[Row] = (ADMINS, ADMINS)
_STAFF: Final[Row] = (STAFF, STAFF)
ADMIN_SITE: Final[dict[str, Row]] = {
    "admin:index": _STAFF,
    "admin:login": _SHUT,
    "admin:logout": _SHUT,
    "admin:password_change": _STAFF,
    "admin:password_change_done": _STAFF,
    "admin:autocomplete": (NONE, NONE),
    "admin:jsi18n": _STAFF,
    "admin:view_on_site": _STAFF,
    "admin:app_list": _STAFF,
    "admin:auth_user_password_change": _ADMIN,
}

# The pages of each model in the admin: for administrators, except for those named.
_SHUT_PAGES: Final = {"add": _SHUT, "delete": _SHUT}
ADMIN_MODELS: Final[dict[str, dict[str, Row]]] = {
    "auth_group": {},
    "account_emailaddress": {},
    "mfa_authenticator": {},
    "socialaccount_socialapp": {},
    "socialaccount_socialtoken": {},
    "socialaccount_socialaccount": {},
    "usersessions_usersession": {},
    "access_person": {},
    "access_servicetoken": {"delete": _SHUT},
    "access_statuslink": {"delete": _SHUT},
    "access_auditentry": {**_SHUT_PAGES, "change": (ADMINS, NONE)},
    "control_override": {
        **_SHUT_PAGES,
        "changelist": (OPERATORS, OPERATORS),
        "change": (OPERATORS, NONE),
    },
    "policies_breakerpolicy": {
        **dict.fromkeys(("changelist", "add", "change"), (EDITORS, EDITORS)),
        "delete": _SHUT,
    },
    "alerts_channel": {},
    "alerts_route": {},
    "alerts_silence": {},
}  # fmt: skip
