"""The page of one breaker."""

from __future__ import annotations

import time
from itertools import islice
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from dashboard.access.roles import VIEW_AUDIT
from dashboard.control import queries as control
from dashboard.fleet.snapshot.reads import breaker_view, snapshot
from dashboard.history import queries as history
from dashboard.policies import queries as policies
from dashboard.timeline.event_text import said, window
from dashboard.timeline.events import KINDS, SHOWN_TO_ALL, Wanted, events
from dashboard.web import policy_applied, recorded

RANGES: Final = {
    "5m": "5 min",
    "15m": "15 min",
    "1h": "1 h",
    "6h": "6 h",
    "24h": "24 h",
    "7d": "7 d",
    "30d": "30 d",
}
_TRANSITIONS: Final = 12
_OVERRIDES: Final = 10
_OUTAGES: Final = 6
_ACTS: Final = 10
_BACK_S: Final = 90 * 86_400


@require_GET
def breaker(request: HttpRequest, service: str, breaker: str) -> HttpResponse:
    """Live figures, charts, instances, transitions, the policy in force, and the audit trail."""
    view = breaker_view(service, breaker)
    head = policies.head(service, breaker)
    if view is None and head is None:
        raise Http404(f"No instance of {service} has reported a breaker named {breaker}.")
    explained = policies.explained(service, breaker)
    timeout = next(row.value for row in explained if row.spec.name == "timeout")
    changes = history.transitions(service, breaker, _TRANSITIONS)
    context = {
        "service": service,
        "breaker": breaker,
        "snapshot": snapshot(service),
        "ranges": RANGES,
        "outages": history.outages(time.time() - _BACK_S, service=service, breaker=breaker)[
            :_OUTAGES
        ],
        "transitions": [(each, window(each.window)) for each in changes],
        "transitions_limit": _TRANSITIONS,
        "overrides": control.recent(service, breaker, _OVERRIDES),
        "policy": explained,
        "policy_head": head,
        "policy_applied": policy_applied.instances(service, breaker),
        "timeout_ms": None if timeout is None else timeout * 1000,
        "audit": _audit(service, breaker) if request.user.has_perm(VIEW_AUDIT) else None,
        **recorded.context(service, breaker),
    }
    return render(request, "pages/breaker.html", context)


def _audit(service: str, breaker: str) -> list[dict[str, Any]]:
    now = time.time()
    kinds = frozenset(KINDS) - SHOWN_TO_ALL
    wanted = Wanted(since=now - _BACK_S, until=now, kinds=kinds, service=service, breaker=breaker)
    return [
        {"at": each.at, "by": each.who, "said": said(each), "why": each.why}
        for each in islice(events(wanted), _ACTS)
    ]
