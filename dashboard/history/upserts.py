"""How rows are added to what is kept: staged, then merged in one statement.

The statements are the same on both databases. Only how rows come into the staging table differs:
PostgreSQL takes them through COPY.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from django.db import connection

from breakers.circuit.records import OUTCOMES
from dashboard.history.levels import TRANSITIONS, Level

BUCKET_COLUMNS: Final = ("service", "breaker", "start", *OUTCOMES, "sketch", "sum_s")
TRANSITION_COLUMNS: Final = (
    "at",
    "key",
    "service",
    "breaker",
    "instance",
    "boot",
    "number",
    "before",
    "after",
    "cause",
    "window",
)
_SUMMED: Final = (*OUTCOMES, "sum_s")


def _names(columns: Sequence[str], of: str = "") -> str:
    return ", ".join(f'{of}"{name}"' for name in columns)


def add_buckets(level: Level, rows: Iterable[Sequence[Any]]) -> None:
    """Add rows of `BUCKET_COLUMNS`, each bucket at most once, to those that are there."""
    staging = _stage(level.table, BUCKET_COLUMNS, rows)
    # In one order everywhere, so that two workers never wait for each other.
    source = f"SELECT {_names(BUCKET_COLUMNS)} FROM {staging} WHERE true ORDER BY 1, 2, 3"
    with connection.cursor() as cursor:
        cursor.execute(_merge(level, source))
        cursor.execute(f"DELETE FROM {staging}")


def roll(lower: Level, upper: Level, begin: int, end: int) -> int:
    """Add what a level holds of a span to the level above; how many rows that made or changed."""
    sums = ", ".join(f'sum("{name}")' for name in OUTCOMES)
    start = f'"start" / {upper.step_s} * {upper.step_s}'
    source = (
        f'SELECT "service", "breaker", {start}, {sums}, sketch_sum("sketch"), sum("sum_s")'
        f' FROM "{lower.table}" WHERE "start" >= %s AND "start" < %s'
        f" GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    )
    with connection.cursor() as cursor:
        cursor.execute(_merge(upper, source), [begin, end])
        changed: int = cursor.rowcount
        return changed


def add_transitions(rows: Iterable[Sequence[Any]]) -> None:
    """Add rows of `TRANSITION_COLUMNS` whose keys are not there yet."""
    table = TRANSITIONS.table
    staging = _stage(table, TRANSITION_COLUMNS, rows)
    with connection.cursor() as cursor:
        cursor.execute(
            f'INSERT INTO "{table}" ({_names(TRANSITION_COLUMNS)})'
            f" SELECT {_names(TRANSITION_COLUMNS, 's.')} FROM {staging} AS s"
            f' WHERE NOT EXISTS (SELECT 1 FROM "{table}" AS t WHERE t."key" = s."key")'
            f" ON CONFLICT DO NOTHING"
        )
        cursor.execute(f"DELETE FROM {staging}")


def _merge(level: Level, source: str) -> str:
    added = ", ".join(f'"{name}" = kept."{name}" + excluded."{name}"' for name in _SUMMED)
    return (
        f'INSERT INTO "{level.table}" AS kept ({_names(BUCKET_COLUMNS)}) {source}'
        f' ON CONFLICT ("service", "breaker", "start") DO UPDATE SET {added},'
        f' "sketch" = sketch_add(kept."sketch", excluded."sketch")'
    )


def _stage(table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Put rows into a temporary table of this connection; its name."""
    staging = f"{table}_staging"
    names = _names(columns)
    shape = f'AS SELECT {names} FROM "{table}"'
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                f"CREATE TEMP TABLE IF NOT EXISTS {staging} ON COMMIT DELETE ROWS {shape}"
                " WITH NO DATA"
            )
            copying: Any = cursor
            with copying.copy(f"COPY {staging} ({names}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            cursor.execute(f"CREATE TEMP TABLE IF NOT EXISTS {staging} {shape} WHERE false")
            places = ", ".join(["%s"] * len(columns))
            cursor.executemany(f"INSERT INTO {staging} VALUES ({places})", list(rows))
    return staging
