"""Reads of transitions: of the whole fleet in a range, of some breakers since a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dashboard.common.keyset import walk
from dashboard.history.models import Transition


def between(
    since: float,
    until: float,
    *,
    service: str = "",
    breaker: str = "",
    instance: str = "",
    oldest_first: bool = False,
) -> Iterator[Transition]:
    """The transitions from `since` up to `until` (Unix time), of all breakers or of those named."""
    named = {"service": service, "breaker": breaker, "instance": instance}
    wanted = Transition.objects.filter(
        at__gte=since, at__lt=until, **{field: name for field, name in named.items() if name}
    )
    return walk(wanted, ("at", "number", "key"), oldest_first=oldest_first)


def latest_of(pairs: Iterable[tuple[str, str]], since: float, limit: int) -> list[Transition]:
    """The transitions of some breakers, given as (service, breaker), since a time: newest first.

    At most `limit` are read, of which those of other breakers by the same names are left out.
    """
    wanted = set(pairs)
    if not wanted:
        return []
    # Two lists instead of a condition for each pair: databases bound how deep a condition may be.
    rows = Transition.objects.filter(
        service__in={service for service, _ in wanted},
        breaker__in={breaker for _, breaker in wanted},
        at__gte=since,
    )
    return [row for row in rows[:limit] if (row.service, row.breaker) in wanted]
