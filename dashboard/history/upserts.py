"""How rows are added to what is kept: staged, then merged in one statement.

The statements are the same on both databases. Only how rows come into the staging table differs:
PostgreSQL takes them through COPY.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from django.db import connection

from breakers.circuit.records import OUTCOMES
from dashboard.history.levels import LEVELS, TRANSITIONS, Level
from dashboard.history.sketches import MOST

BUCKET_COLUMNS: Final = ("service", "breaker", "start", *OUTCOMES, "sketch", "sum_s")
# The least and the most calls of ten seconds, at every level but the finest.
EXTREMES: Final = ("low", "peak")
_CALLS: Final = ("success", "failure", "timeout", "ignored", "rejected", "bulkhead_full")
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


def _names(columns: Sequence[str], of: str = "") -> str:
    return ", ".join(f'{of}"{name}"' for name in columns)


def calls() -> str:
    """All calls of a row as SQL; none of them above `MOST`, so that no sum leaves 64 bits."""
    least = "least" if connection.vendor == "postgresql" else "min"
    return "(" + " + ".join(f'{least}("{name}", {MOST})' for name in _CALLS) + ")"


def add_buckets(level: Level, rows: Iterable[Sequence[Any]]) -> None:
    """Add rows of `BUCKET_COLUMNS`, each bucket at most once, to those that are there."""
    staging = _stage(level.table, BUCKET_COLUMNS, rows)
    # In one order everywhere, so that two workers never wait for each other.
    columns = _names(BUCKET_COLUMNS)
    if level is not LEVELS[0]:
        # What comes late comes as a whole: of its ten seconds only the mean is known.
        mean = f"{calls()} * {LEVELS[0].step_s} / {level.step_s}"
        columns += f", {mean}, {mean}"
    source = f"SELECT {columns} FROM {staging} WHERE true ORDER BY 1, 2, 3"
    with connection.cursor() as cursor:
        cursor.execute(_merge(level, source))
        cursor.execute(f"DELETE FROM {staging}")


def roll(
    lower: Level, upper: Level, begin: int, end: int, services: Sequence[str] | None = None
) -> int:
    """Add what a level holds of a span to the level above, of some services or of all; how many
    rows that made or changed."""
    sums = ", ".join(map(_sum, OUTCOMES))
    start = f'"start" / {upper.step_s} * {upper.step_s}'
    source = (
        f'SELECT "service", "breaker", {start}, {sums}, sketch_sum("sketch"), sum("sum_s"),'
        f' {_extremes(lower, upper)} FROM "{lower.table}"'
        f' WHERE "start" >= %s AND "start" < %s{_among(services)}'
        f" GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    )
    with connection.cursor() as cursor:
        cursor.execute(_merge(upper, source), [begin, end, *(services or ())])
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


def _among(services: Sequence[str] | None) -> str:
    if services is None:
        return ""
    return f' AND "service" IN ({", ".join(["%s"] * len(services))})'


def _extremes(lower: Level, upper: Level) -> str:
    """The least and the most calls of ten seconds; where a row is missing, nothing was called."""
    low, peak = (calls(), calls()) if lower is LEVELS[0] else ('"low"', '"peak"')
    rows = upper.step_s // lower.step_s
    return f"CASE WHEN count(*) < {rows} THEN 0 ELSE min({low}) END, max({peak})"


def _sum(name: str) -> str:
    """A sum that stops at `MOST`. SQLite raises where a sum leaves 64 bits, even one that is not
    used, so that it adds up the upper and the lower 32 bits apart."""
    if connection.vendor == "postgresql":
        return f'least(sum("{name}"), {MOST})'
    upper, lower = f'sum("{name}" >> 32)', f'sum("{name}" & 4294967295)'
    high = f"min({upper} + ({lower} >> 32), {MOST >> 31})"
    return f"min({high} * 4294967296 + ({lower} & 4294967295), {MOST})"


def _added(name: str) -> str:
    """What is kept and what is added, up to `MOST`; neither is above it."""
    least = "least" if connection.vendor == "postgresql" else "min"
    return (
        f'"{name}" = {least}({least}(kept."{name}", {MOST}) + {least}(excluded."{name}", {MOST}), '
        f"{MOST})"
    )


def _merge(level: Level, source: str) -> str:
    added = ", ".join(map(_added, OUTCOMES))
    columns: tuple[str, ...] = BUCKET_COLUMNS
    if level is not LEVELS[0]:
        columns = (*BUCKET_COLUMNS, *EXTREMES)
        least, most = ("least", "greatest") if connection.vendor == "postgresql" else ("min", "max")
        added += f', "low" = {least}(kept."low", excluded."low")'
        added += f', "peak" = {most}(kept."peak", excluded."peak")'
    return (
        f'INSERT INTO "{level.table}" AS kept ({_names(columns)}) {source}'
        f' ON CONFLICT ("service", "breaker", "start") DO UPDATE SET {added},'
        f' "sum_s" = kept."sum_s" + excluded."sum_s",'
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
