"""The table of the command line: who may run each command, and a call that is otherwise valid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tests.security.roles import (
    ACCOUNTS,
    ADMINS,
    EDITORS,
    EVERYBODY,
    OPERATORS,
    VIEWERS,
)

ALERTS_FILE: Final = "rules: {}\nroutes: {}\nsilences: []\n"
POLICIES_FILE: Final = "services:\n  shop:\n    all:\n      timeout: 250 ms\n"


@dataclass(frozen=True)
class Row:
    """Who may run a command, and its arguments: `{act}`, `{override}` … name objects. `ends` are
    the exit codes of a run that was allowed; `is_endless` says that it runs until Ctrl-C."""

    may: frozenset[str]
    arguments: str = ""
    ends: tuple[int, ...] = (0,)
    is_endless: bool = False


_ON_DB: Final = "shop/db --yes --reason r"
COMMANDS: Final[dict[str, Row]] = {
    # Without a dashboard.
    "simulate": Row(EVERYBODY, "--instances 2 --outage 1"),
    # One's own account.
    "login": Row(ACCOUNTS, "{url} --token {token}"),
    "token list": Row(ACCOUNTS),
    "token create": Row(ACCOUNTS, "made"),
    "token revoke": Row(ACCOUNTS, "{spare}"),
    "session list": Row(ACCOUNTS),
    "session revoke": Row(ACCOUNTS, "--all"),
    "view list": Row(VIEWERS),
    "view keep": Row(VIEWERS, "mine"),
    # Missing objects are said to whoever may ask; the API's own table uses real ones.
    "view forget": Row(VIEWERS, "99999", ends=(5,)),
    # The fleet.
    "incident list": Row(VIEWERS),
    "incident show": Row(VIEWERS, "99999", ends=(5,)),
    "silence list": Row(VIEWERS),
    "status": Row(VIEWERS),
    "watch": Row(VIEWERS, "--every 0.2", is_endless=True),
    "events": Row(VIEWERS, is_endless=True),
    "audit list": Row(VIEWERS),
    "marker list": Row(VIEWERS),
    "approve": Row(VIEWERS),
    "drill list": Row(VIEWERS),
    "drill report": Row(VIEWERS, "{run}"),
    # Not drilled yet, which is said to whoever may ask.
    "drill kill-path": Row(VIEWERS, "shop", ends=(5,)),
    "policies export": Row(VIEWERS),
    "policies plan": Row(VIEWERS, "{policies}"),
    "policies lint": Row(VIEWERS, ends=(0, 1)),
    # Its tools are held by test_mcp_server.py; it needs a token.
    "mcp": Row(ACCOUNTS),
    # Acts. Nobody confirms here: 11 says that not every instance has.
    "trip": Row(OPERATORS, f"{_ON_DB} --wait 1s", ends=(11,)),
    "close": Row(OPERATORS, f"{_ON_DB} --wait 1s", ends=(11,)),
    "metrics-only": Row(OPERATORS, f"{_ON_DB} --wait 1s", ends=(11,)),
    "partial": Row(OPERATORS, f"{_ON_DB} --share 50 --wait 1s", ends=(11,)),
    "reset": Row(OPERATORS, _ON_DB),
    "auto": Row(OPERATORS, _ON_DB),
    "undo": Row(OPERATORS, "{act}"),
    "override": Row(OPERATORS, "{override} --for 10m --reason r"),
    "record": Row(OPERATORS, "shop/cache --for 10s --reason r"),
    "marker add": Row(OPERATORS, "deployed --service shop"),
    "drill save": Row(OPERATORS, "made shop/db --kind error"),
    "drill run": Row(OPERATORS, "{drill} --reason r"),
    "drill stop": Row(OPERATORS, "{run}"),
    "drill delete": Row(OPERATORS, "{drill}"),
    "incident acknowledge": Row(OPERATORS, "99999", ends=(5,)),
    "incident resolve": Row(OPERATORS, "99999", ends=(5,)),
    "incident assign": Row(OPERATORS, "99999", ends=(5,)),
    "incident note": Row(OPERATORS, "99999 --text t", ends=(5,)),
    "incident severity": Row(OPERATORS, "99999 --severity info", ends=(5,)),
    "incident merge": Row(OPERATORS, "99999 --into 1", ends=(5,)),
    "incident split": Row(OPERATORS, "99999 --firing 1", ends=(5,)),
    "silence add": Row(OPERATORS, "--service shop --reason r"),
    "silence end": Row(OPERATORS, "99999", ends=(5,)),
    # The instance still reports, which is refused as invalid.
    "forget": Row(OPERATORS, "shop one", ends=(6,)),
    # Policies and administration.
    "policies apply": Row(EDITORS, "{policies} --reason r"),
    "policies restore": Row(EDITORS, "99999", ends=(5,)),
    "policies copy": Row(EDITORS, "bank/none shop/db", ends=(5,)),
    "policies schedule": Row(EDITORS, "shop/db --set timeout=250ms --starts 2099-01-01T00:00:00Z"),
    "policies unschedule": Row(EDITORS, "99999", ends=(5,)),
    # One may run already, of another role.
    "policies rollout": Row(EDITORS, "shop/db --set timeout=250ms --instance one", ends=(0, 6)),
    "policies decide": Row(EDITORS, "99999 stop", ends=(5,)),
    "alerts export": Row(ADMINS),
    "alerts messages": Row(ADMINS),
    "alerts replay": Row(ADMINS, "99999", ends=(5,)),
    "alerts test": Row(ADMINS, "none", ends=(5,)),
    "alerts channels": Row(ADMINS),
    "alerts set-channel": Row(ADMINS, "ops --kind webhook --url https://example.com --secret x"),
    "alerts delete-channel": Row(ADMINS, "none", ends=(5,)),
    "dependents": Row(ADMINS, "shop --set web"),
    "person list": Row(ADMINS),
    "person set": Row(ADMINS, "somebody --role viewer"),
    "team list": Row(ADMINS),
    "team set": Row(ADMINS, "pay --service bank"),
    "team grant": Row(ADMINS, "pay somebody viewer"),
    "team withdraw": Row(ADMINS, "pay somebody"),
    "team delete": Row(ADMINS, "pay"),
    "service-token list": Row(ADMINS),
    "service-token create": Row(ADMINS, "shop"),
    "service-token rotate": Row(ADMINS, "99999", ends=(5,)),
    "service-token revoke": Row(ADMINS, "99999", ends=(5,)),
    "status-link list": Row(ADMINS),
    "status-link create": Row(ADMINS, "board"),
    "status-link revoke": Row(ADMINS, "99999", ends=(5,)),
    "alerts plan": Row(ADMINS, "{alerts}"),
    "alerts apply": Row(ADMINS, "{alerts} --reason r"),
    "audit verify": Row(ADMINS),
}
