"""Checks of a report that its types cannot express: names are distinct, counts are plausible."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from breakers.protocol import messages as wire

_FIELDS: Final = wire.Counts.__struct_fields__
# A report that covers less than this may still hold what one second can bring.
_LEAST_S: Final = 1.0


def most_calls(interval_s: float) -> int:
    """The highest count that one breaker of one process can reach in a report's interval."""
    return int(wire.MAX_CALLS_PER_S * max(_LEAST_S, interval_s))


def check_report(report: wire.Report) -> None:
    """Refuse a report that names a breaker twice or counts more than its interval can bring.

    Raises:
        WireError: with code `invalid`, naming the field.
    """
    check_distinct(report.breakers)
    most = most_calls(report.interval_s)
    for n, breaker in enumerate(report.breakers):
        check_counts(n, breaker.counts, most, report.interval_s)
        buckets = breaker.histogram.buckets
        if buckets and sum(buckets.values()) > most:
            raise implausible(f"$.breakers[{n}].histogram", sum(buckets.values()), report, most)


def check_recording(recording: wire.Recording) -> None:
    """Refuse a recording whose arrays differ in length.

    Raises:
        WireError: naming the first array that differs from `offset_us`.
    """
    calls = len(recording.offset_us)
    for field in ("outcome", "latency_us", "attempt"):
        found = len(getattr(recording, field))
        if found != calls:
            raise _invalid(f"$.{field}", f"{found} values for {calls} calls in offset_us")


def check_distinct(breakers: Iterable[wire.BreakerReport]) -> None:
    """Refuse a name that occurs twice.

    Raises:
        WireError: naming the second one.
    """
    seen: set[str] = set()
    for n, breaker in enumerate(breakers):
        if breaker.name in seen:
            raise _invalid(f"$.breakers[{n}].name", f"{breaker.name!r} is reported twice")
        seen.add(breaker.name)


def check_counts(n: int, counts: wire.Counts, most: int, interval_s: float) -> None:
    """Refuse a count above `most` of the breaker at index `n`.

    Raises:
        WireError: naming the first such count.
    """
    for field in _FIELDS:
        value = getattr(counts, field)
        if value > most:
            raise _invalid(f"$.breakers[{n}].counts.{field}", _too_many(value, most, interval_s))


def implausible(field: str, value: int, report: wire.Report, most: int) -> wire.WireError:
    """The refusal of a count that is too high for a report's interval."""
    return _invalid(field, _too_many(value, most, report.interval_s))


def _too_many(value: int, most: int, interval_s: float) -> str:
    return f"{value} in {interval_s:g} s; at most {most} are plausible"


def _invalid(field: str, message: str) -> wire.WireError:
    return wire.WireError(wire.Refused(code="invalid", field=field, message=message))
