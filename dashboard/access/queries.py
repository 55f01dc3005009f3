"""Read operations of this app."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.db.models import Q, QuerySet

from dashboard.access.authority import visible_services
from dashboard.access.models import AuditEntry, Person
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


def search_audit(
    person: Person,
    *,
    by: str = "",
    act: str = "",
    service: str = "",
    breaker: str = "",
    address: str = "",
    q: str = "",
) -> QuerySet[AuditEntry]:
    """The audit entries that a person sees, filtered; `q` searches in reasons and names. Entries
    without a service (log-ins, people, tokens) are shown to those who see all services."""
    found = AuditEntry.objects.all()
    visible = visible_services(person)
    if not visible.is_all:
        names = AuditEntry.objects.order_by().values_list("service", flat=True).distinct()
        found = found.filter(service__in=visible.among(name for name in names if name))
    named = {"by": by, "act": act, "service": service, "breaker": breaker, "address": address}
    found = found.filter(**{field: value for field, value in named.items() if value})
    if q:
        found = found.filter(
            Q(reason__icontains=q) | Q(by__icontains=q) | Q(act__icontains=q)
            | Q(service__icontains=q) | Q(breaker__icontains=q)
        )  # fmt: skip
    return found


def audit_row(row: AuditEntry) -> dict[str, Any]:
    """An entry as JSON."""
    fields = (
        *("number", "by", "act", "service", "breaker", "reason", "detail", "address"),
        *("session", "previous", "hash"),
    )
    return {"at": row.at.isoformat(), **{name: getattr(row, name) for name in fields}}
