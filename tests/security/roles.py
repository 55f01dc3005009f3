"""The roles of the tables in this folder, and how an answer is read."""

from __future__ import annotations

from typing import Final

ANONYMOUS: Final = "anonymous"
NOBODY: Final = "nobody"  # an account without a role
VIEWER: Final = "viewer"
OPERATOR: Final = "operator"
EDITOR: Final = "policy editor"
ADMIN: Final = "admin"
ROLES: Final = (ANONYMOUS, NOBODY, VIEWER, OPERATOR, EDITOR, ADMIN)

# Who gets past authority, from the least to the most.
EVERYBODY: Final = frozenset(ROLES)
ACCOUNTS: Final = EVERYBODY - {ANONYMOUS}
VIEWERS: Final = ACCOUNTS - {NOBODY}
STAFF: Final = VIEWERS - {VIEWER}
OPERATORS: Final = frozenset({OPERATOR, ADMIN})
EDITORS: Final = frozenset({EDITOR, ADMIN})
ADMINS: Final = frozenset({ADMIN})
NONE: Final[frozenset[str]] = frozenset()


def groups_of(role: str) -> list[str]:
    """The roles that `keep_person` gives an account of this row."""
    return [] if role in (ANONYMOUS, NOBODY) else [role]
