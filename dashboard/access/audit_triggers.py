"""SQL that makes the audit trail and its time stamps append-only, for both databases.

The triggers are created after every migrate, because SQLite drops them whenever a migration
rebuilds the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

_REFUSAL: Final = "the audit trail is append-only"
# Each table, and how the names of its triggers begin: SQLite has one namespace for all tables.
_TABLES: Final = {"access_auditentry": "audit", "access_audittimestamp": "audit_stamp"}
_FUNCTION: Final = f"""CREATE OR REPLACE FUNCTION audit_is_append_only() RETURNS trigger
    LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$"""


def create(connection: Any) -> None:
    """Create the triggers of the tables that exist, replacing those that exist."""
    drop(connection)
    is_postgresql = connection.vendor == "postgresql"
    if is_postgresql:
        _execute(connection, _FUNCTION)
    for table, prefix in _existing(connection):
        for statement in (_postgresql if is_postgresql else _sqlite)(table, prefix):
            _execute(connection, statement)


def drop(connection: Any) -> None:
    """Drop the triggers."""
    for table, prefix in _existing(connection):
        if connection.vendor == "postgresql":
            for name in ("change", "truncate"):
                _execute(connection, f"DROP TRIGGER IF EXISTS {prefix}_no_{name} ON {table}")
        else:
            for name in ("update", "delete"):
                _execute(connection, f"DROP TRIGGER IF EXISTS {prefix}_no_{name}")


def _existing(connection: Any) -> list[tuple[str, str]]:
    found = connection.introspection.table_names()
    return [each for each in _TABLES.items() if each[0] in found]


def _sqlite(table: str, prefix: str) -> Iterator[str]:
    for verb in ("UPDATE", "DELETE"):
        yield (
            f"CREATE TRIGGER {prefix}_no_{verb.lower()} BEFORE {verb} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
        )


def _postgresql(table: str, prefix: str) -> Iterator[str]:
    yield (
        f"CREATE TRIGGER {prefix}_no_change BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION audit_is_append_only()"
    )
    yield (
        f"CREATE TRIGGER {prefix}_no_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()"
    )


def _execute(connection: Any, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
