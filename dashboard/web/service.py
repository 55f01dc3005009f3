"""The page of one service."""

from __future__ import annotations

import time
from itertools import islice

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from dashboard.access.authority import may
from dashboard.access.models import Person
from dashboard.access.roles import ADMINISTER, VIEW_AUDIT
from dashboard.common.budget_figures import figures
from dashboard.control import instances
from dashboard.fleet import dependents
from dashboard.fleet import services as fleet
from dashboard.fleet.models import Service
from dashboard.fleet.service_figures import weight
from dashboard.fleet.snapshot.reads import snapshot
from dashboard.policies import queries as policies
from dashboard.timeline.event_text import said
from dashboard.timeline.events import KINDS, SHOWN_TO_ALL, Wanted, events, together

_BACK_S = 7 * 86_400
_EVENTS = 12


@require_GET
def service(request: HttpRequest, service: str) -> HttpResponse:
    """Breakers, instances, recent events and policies of one service."""
    shot = snapshot(service)
    if not shot["services"] and not Service.objects.filter(name=service).exists():
        raise Http404(f"No instance of {service} has reported.")
    everything = snapshot()["services"]
    callers = [
        breaker
        for other in everything
        for breaker in other["breakers"]
        if breaker["name"] == service and other["name"] != service
    ]
    now = time.time()
    kinds = frozenset(KINDS) if request.user.has_perm(VIEW_AUDIT) else SHOWN_TO_ALL
    wanted = Wanted(since=now - _BACK_S, until=now, service=service, kinds=kinds)
    recent = islice(together(events(wanted)), _EVENTS)
    declared = dependents.declared(service)
    context = {
        "service": service,
        "snapshot": shot,
        "revision": fleet.revision(service),
        "callers": callers,
        "calls": {other["name"] for other in everything},
        "recent": [(each, said(each)) for each in recent],
        "policies": policies.in_force(service),
        "declared": declared,
        "dependents": "\n".join(declared.dependents) if declared else "",
        "seen": declared.version() if declared else "",
        "may_declare": may(request.user, ADMINISTER, service),
        "weight": weight(service, next(iter(shot["services"]), None)),
        "budgets": figures(service),
    }
    return render(request, "pages/service.html", context)


@require_POST
def forget(request: HttpRequest, service: str) -> HttpResponse:
    """Forget a silent instance."""
    assert isinstance(request.user, Person)
    try:
        instances.forget_instance(request.user, service, request.POST.get("instance", ""))
    except ValidationError as error:
        refused = {"messages_here": error.messages}
        return render(request, "pages/policy_refused.html", refused, status=422)
    return redirect("service", service)


@require_POST
def declare(request: HttpRequest, service: str) -> HttpResponse:
    """Declare the dependents of a service, one a line, and how many must agree."""
    assert isinstance(request.user, Person)
    form = request.POST
    named = [each.strip() for each in form.get("dependents", "").splitlines() if each.strip()]
    text = form.get("quorum", "")
    quorum = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0
    try:
        dependents.declare(request.user, service, named, quorum, form.get("seen"))
    except ValidationError as error:
        refused = {"messages_here": error.messages}
        return render(request, "pages/policy_refused.html", refused, status=422)
    return redirect("service", service)
