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
    "simulate": Row(EVERYBODY, "--instances 2 --outage 1 --no-check"),
    # One's own account.
    "login": Row(ACCOUNTS, "{url} --token {token}"),
    "token list": Row(ACCOUNTS),
    "token create": Row(ACCOUNTS, "made"),
    "token revoke": Row(ACCOUNTS, "{spare}"),
    # The fleet.
    "status": Row(VIEWERS),
    "watch": Row(VIEWERS, "--every 0.2", is_endless=True),
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
    # Its tools are held by tests/breakers/cli/test_mcp_server.py; it needs a token.
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
    # The instance still reports, which is refused as invalid.
    "forget": Row(OPERATORS, "shop one", ends=(6,)),
    # Policies and administration.
    "policies apply": Row(EDITORS, "{policies} --reason r"),
    "alerts export": Row(ADMINS),
    "alerts plan": Row(ADMINS, "{alerts}"),
    "alerts apply": Row(ADMINS, "{alerts} --reason r"),
    "audit verify": Row(ADMINS),
}
