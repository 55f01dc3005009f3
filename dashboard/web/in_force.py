"""The page of everything in force, and the acts that wait for approval."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from dashboard.access.authority import services_with, visible_services
from dashboard.access.models import Person
from dashboard.access.roles import OPERATE
from dashboard.control import approvals, holdings
from dashboard.control.queries import standing
from dashboard.fleet.snapshot.reads import breaker_view


def _person(request: HttpRequest) -> Person:
    if not isinstance(request.user, Person):
        raise PermissionDenied("Log in first.")
    return request.user


@require_safe
def in_force(request: HttpRequest) -> HttpResponse:
    """Every override: by whom, until when, and the instances pending, refused, unreachable."""
    person = _person(request)
    visible, operable = visible_services(person), services_with(person, OPERATE)
    rows = []
    for row in standing().order_by("expires")[:1000]:
        if row.service not in visible:
            continue
        view = breaker_view(row.service, row.breaker)
        progress = view["override"] if view and view["override"] else None
        stale = [each["id"] for each in view["instances"] if each["stale"]] if view else []
        rows.append(
            {
                "row": row,
                "version": holdings.version(row),
                "progress": progress if progress and progress["id"] == row.id else None,
                "unreachable": stale,
                "may": row.service in operable,
            }
        )
    return render(request, "pages/in_force.html", {"rows": rows, "waiting": _waiting(person)})


@require_POST
def change(request: HttpRequest, id: str) -> HttpResponse:
    """Extend, shorten or hand over an override."""
    person, form = _person(request), request.POST
    try:
        if form.get("to"):
            other = Person.objects.filter(username=form["to"][:150], is_active=True).first()
            if other is None:
                raise ValidationError({"to": f"Nobody is named {form['to'][:150]!r}."})
            holdings.hand_over(person, id, other, form.get("reason", ""), form.get("seen", ""))
        else:
            minutes = form.get("minutes", "")
            seconds = float(minutes) * 60 if minutes.isdigit() and len(minutes) < 9 else -1.0
            holdings.change_end(person, id, seconds, form.get("reason", ""), form.get("seen", ""))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect("in_force")


@require_POST
def release_mine(request: HttpRequest) -> HttpResponse:
    """Return to automatic everything that this person holds."""
    person = _person(request)
    reason = request.POST.get("reason", "")
    try:
        holdings.release_all_of(person, str(uuid.uuid4()), person.username, reason)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect("in_force")


def _waiting(person: Person) -> list[dict[str, Any]]:
    visible, operable = visible_services(person), services_with(person, OPERATE)
    return [
        {
            "act": row,
            "mine": row.person_id == person.pk,
            "may_break": row.why != approvals.BY_PROGRAM,
            "may": all(service in operable for service, _, _ in row.targets),
        }
        for row in approvals.pending()[: approvals.MAX_PENDING]
        if any(service in visible for service, _, _ in row.targets)
    ]


@require_safe
def approvals_page(request: HttpRequest) -> HttpResponse:
    """The acts that wait for a second person."""
    return render(request, "pages/approvals.html", {"waiting": _waiting(_person(request))})


@require_POST
def decide(request: HttpRequest, id: str) -> HttpResponse:
    """Approve or reject an act, or break glass."""
    person, decision = _person(request), request.POST.get("decision")
    try:
        if decision == "approve":
            approvals.approve(person, id)
        elif decision == "reject":
            approvals.reject(person, id)
        elif decision == "break-glass":
            approvals.break_glass(person, id)
        else:
            raise ValidationError({"decision": "Choose approve, reject or break-glass."})
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect("approvals")
