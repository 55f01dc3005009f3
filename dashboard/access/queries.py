"""Read operations of this app."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from dashboard.access.models import AuditEntry
from dashboard.common.keyset import walk


def audited(
    since: float,
    until: float,
    *,
    service: str = "",
    breaker: str = "",
    by: str = "",
    oldest_first: bool = False,
) -> Iterator[AuditEntry]:
    """Audit entries from `since` up to `until` (Unix time), filtered by the given names."""
    named = {"service": service, "breaker": breaker, "by": by}
    wanted = AuditEntry.objects.filter(
        at__gte=datetime.fromtimestamp(since, UTC),
        at__lt=datetime.fromtimestamp(until, UTC),
        **{field: name for field, name in named.items() if name},
    )
    return walk(wanted, ("at", "id"), oldest_first=oldest_first)
