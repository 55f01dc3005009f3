"""The partitions of PostgreSQL's history tables. SQLite keeps plain tables: there all of this does
nothing, and the old is deleted row by row.

A partition is made as a table of its own and then attached, which stops nobody reading or writing.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from django.db import OperationalError, connection, transaction

from dashboard.history.levels import HOUR, LEVELS, TRANSITIONS, Level

logger = logging.getLogger("switchgear.history")

# PostgreSQL's advisory locks of history. Several are taken in this order.
ROLLING = 0x5347_0001
PARTITIONS = 0x5347_0002
# Dropped this much after the last write that may still go there.
_MARGIN_S = HOUR
_AHEAD = 2


class Partition(NamedTuple):
    """Holds the times from `begin` up to, and without, `end`."""

    name: str
    begin: float
    end: float


def are_used() -> bool:
    """Whether the database has partitions."""
    return connection.vendor == "postgresql"


def ensure(level: Level, times: Iterable[float]) -> int:
    """Make the partitions that hold these times, inside the caller's transaction; how many."""
    if not are_used():
        return 0
    width = level.partition_s
    return sum(_make(level, begin) for begin in sorted({int(at // width) * width for at in times}))


def _make(level: Level, begin: int) -> bool:
    name = f"{level.table}_{time.strftime('%Y%m%d_%H%M', time.gmtime(begin))}"
    with connection.cursor() as cursor:
        if _exists(cursor, name):
            return False
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [PARTITIONS])
        if _exists(cursor, name):
            return False
        end = begin + level.partition_s
        cursor.execute(
            f'CREATE TABLE "{name}" (LIKE "{level.table}" INCLUDING ALL)'
            f" WITH (fillfactor = {level.fill_pct})"
        )
        cursor.execute(
            f'ALTER TABLE "{level.table}" ATTACH PARTITION "{name}"'
            f" FOR VALUES FROM ({begin}) TO ({end})"
        )
    logger.info("made the partition %s", name)
    return True


def _exists(cursor: Any, name: str) -> bool:
    # Not to_regclass: it answers from a cache, which having waited for the lock does not refresh.
    cursor.execute(
        "SELECT EXISTS (SELECT FROM pg_class"
        " WHERE relname = %s AND relnamespace = current_schema()::regnamespace)",
        [name],
    )
    return bool(cursor.fetchone()[0])


def of(level: Level) -> list[Partition]:
    """The partitions that a table has, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid)"
            " FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = %s::regclass",
            [level.table],
        )
        found = []
        for name, bound in cursor.fetchall():
            begin, end = re.findall(r"\('?([-\d.e+]+)'?\)", bound)
            found.append(Partition(name, float(begin), float(end)))
    return sorted(found, key=lambda each: each.begin)


def make_ahead(now: float) -> int:
    """Make the partitions of now and of the time to come; how many."""
    made = 0
    for level in (*LEVELS, TRANSITIONS):
        with transaction.atomic():
            made += ensure(level, [now + n * level.partition_s for n in range(_AHEAD + 1)])
    return made


def drop_before(level: Level, horizon: float) -> int:
    """Drop the partitions whose times are all well before the horizon; how many.

    Dropping needs the table to itself for a moment. It does not wait long for that, since others
    would have to queue behind: what is not dropped now is dropped the next time.
    """
    dropped = 0
    for each in of(level):
        if each.end > horizon - _MARGIN_S:
            break
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '2s'")
                cursor.execute(f'DROP TABLE IF EXISTS "{each.name}"')
        except OperationalError:
            logger.warning("the partition %s is in use; it is dropped later", each.name)
            return dropped
        logger.info("dropped the partition %s", each.name)
        dropped += 1
    return dropped
