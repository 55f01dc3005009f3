"""SQL that makes the audit trail append-only, for both databases.

The triggers are created after every migrate, because SQLite drops them whenever a migration
rebuilds the table.
"""

from __future__ import annotations

from typing import Any, Final

_REFUSAL: Final = "the audit trail is append-only"
_SQLITE: Final = [
    f"CREATE TRIGGER audit_no_{verb.lower()} BEFORE {verb} ON access_auditentry "
    f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
    for verb in ("UPDATE", "DELETE")
]
_POSTGRESQL: Final = [
    f"""CREATE OR REPLACE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$""",
    "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON access_auditentry "
    "FOR EACH ROW EXECUTE FUNCTION audit_is_append_only()",
    "CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON access_auditentry "
    "FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()",
]


def create(connection: Any) -> None:
    """Create the triggers, replacing those that exist."""
    drop(connection)
    for statement in _POSTGRESQL if connection.vendor == "postgresql" else _SQLITE:
        _execute(connection, statement)


def drop(connection: Any) -> None:
    """Drop the triggers."""
    if connection.vendor == "postgresql":
        for name in ("audit_no_change", "audit_no_truncate"):
            _execute(connection, f"DROP TRIGGER IF EXISTS {name} ON access_auditentry")
    else:
        for name in ("audit_no_update", "audit_no_delete"):
            _execute(connection, f"DROP TRIGGER IF EXISTS {name}")


def _execute(connection: Any, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
