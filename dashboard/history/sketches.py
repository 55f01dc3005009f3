"""Latency sketches as the database keeps and sums them.

A sketch is a list `[first, n0, n1, …]`: the number of its lowest bucket (see
`breakers.circuit.histogram`), then the count of that bucket and of each above it. Empty is `[]`.
PostgreSQL keeps it as `bigint[]`, SQLite as JSON. Both have the same two functions for it,
`sketch_add(a, b)` and the aggregate `sketch_sum(a)`, so that one SQL serves both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

Packed = list[int]

# The most that one row counts of anything: more is kept as this. It is beyond what any service can
# do, and so far below 64 bits that tens of thousands of rows can be summed.
MOST: Final = 2**48


def pack(buckets: Mapping[int, int]) -> Packed:
    """Buckets as they are kept.

    >>> pack({-3: 5, -1: 2}), pack({})
    ([-3, 5, 0, 2], [])
    """
    if not buckets:
        return []
    first, last = min(buckets), max(buckets)
    return [first, *(buckets.get(index, 0) for index in range(first, last + 1))]


def unpack(packed: Packed) -> dict[int, int]:
    """Buckets out of what is kept.

    >>> unpack([-3, 5, 0, 2])
    {-3: 5, -1: 2}
    """
    return {index: n for index, n in enumerate(packed[1:], packed[0]) if n} if packed else {}


class SketchField(models.Field):
    """A packed sketch."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return "bigint[]" if connection.vendor == "postgresql" else "text"

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Packed:
        return read(value)

    def get_db_prep_value(
        self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False
    ) -> Any:
        return write(value, connection.vendor)


def read(value: Packed | str) -> Packed:
    """A packed sketch as either database gives it."""
    return msgspec.json.decode(value, type=Packed) if isinstance(value, str) else value


def write(packed: Packed, vendor: str) -> Packed | str:
    """A packed sketch as a database takes it."""
    return packed if vendor == "postgresql" else msgspec.json.encode(packed).decode()


def teach_sqlite(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Give a new connection to SQLite the functions that a migration gives PostgreSQL."""
    if connection.vendor == "sqlite":
        raw: Any = connection.connection
        raw.create_function("sketch_add", 2, _add, deterministic=True)
        raw.create_aggregate("sketch_sum", 1, _Sum)


def _add(one: str, other: str) -> str:
    total = _Sum()
    total.step(one)
    total.step(other)
    return total.finalize()


class _Sum:
    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}

    def step(self, packed: str) -> None:
        total = self._buckets
        for index, n in unpack(read(packed)).items():
            total[index] = total.get(index, 0) + n

    def finalize(self) -> str:
        bounded = {index: min(n, MOST) for index, n in self._buckets.items()}
        return msgspec.json.encode(pack(bounded)).decode()


# One pass over the shorter sketch; plpgsql does it in a quarter of what set-returning SQL takes.
POSTGRES_ADD = f"""
CREATE OR REPLACE FUNCTION sketch_add(a bigint[], b bigint[]) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
  shift int;
  missing int;
BEGIN
  IF cardinality(a) = 0 THEN RETURN b; END IF;
  IF cardinality(b) = 0 THEN RETURN a; END IF;
  IF b[1] < a[1] THEN
    a := b[1] || (array_fill(0::bigint, ARRAY[(a[1] - b[1])::int]) || a[2:]);
  END IF;
  shift := b[1] - a[1];
  missing := cardinality(b) + shift - cardinality(a);
  IF missing > 0 THEN a := a || array_fill(0::bigint, ARRAY[missing]); END IF;
  FOR i IN 2..cardinality(b) LOOP
    IF b[i] <> 0 THEN a[i + shift] := least(a[i + shift]::numeric + b[i], {MOST}); END IF;
  END LOOP;
  RETURN a;
END $$;
"""
POSTGRES_FUNCTIONS = f"""
{POSTGRES_ADD}
CREATE AGGREGATE sketch_sum(bigint[]) (
  sfunc = sketch_add, stype = bigint[], initcond = '{{}}', combinefunc = sketch_add, parallel = safe
);
"""
