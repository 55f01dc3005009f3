"""The searchable page of the audit trail, and its export."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from dashboard.access.models import AuditEntry, Person
from dashboard.access.queries import audit_row, search_audit
from dashboard.access.services import audit

_PAGE = 100
_FILTERS = ("by", "act", "service", "breaker", "address", "q")


def _search(request: HttpRequest) -> Any:
    if not isinstance(request.user, Person):
        raise PermissionDenied("Log in first.")
    filters = {name: request.GET.get(name, "")[:150].replace("\0", "") for name in _FILTERS}
    return request.user, filters, search_audit(request.user, **filters)


@require_safe
def audit_page(request: HttpRequest) -> HttpResponse:
    """The latest rows that match."""
    _, filters, found = _search(request)
    before = request.GET.get("before", "")
    if before.isdigit() and len(before) < 18:
        found = found.filter(number__lt=int(before))
    rows = list(found.order_by("-number")[: _PAGE + 1])
    context = {
        "rows": rows[:_PAGE],
        "filters": filters,
        "next": rows[_PAGE - 1].number if len(rows) > _PAGE else None,
    }
    return render(request, "pages/audit.html", context)


@require_safe
def audit_export(request: HttpRequest) -> StreamingHttpResponse:
    """All rows that match, as JSON lines. The export is recorded itself."""
    person, filters, found = _search(request)
    audit(person, "exported", filters={name: value for name, value in filters.items() if value})
    response = StreamingHttpResponse(_lines(found), content_type="application/x-ndjson")
    response["Content-Disposition"] = 'attachment; filename="audit.jsonl"'
    response["Cache-Control"] = "no-store"
    return response


def _lines(found: Any) -> Iterator[str]:
    rows: Iterator[AuditEntry] = found.order_by("number").iterator(chunk_size=1000)
    for row in rows:
        yield json.dumps(audit_row(row)) + "\n"
