"""The page of silences: those that last, a form for a new one, and those that ended last."""

from __future__ import annotations

import time
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from dashboard.access.authority import services_with, visible_services
from dashboard.access.models import Person
from dashboard.access.roles import OPERATE
from dashboard.alerts import silences
from dashboard.alerts.models import Silence

MINUTES: Final = {30: "30 minutes", 60: "1 hour", 240: "4 hours", 1440: "1 day", 10_080: "7 days"}


class SilenceForm(forms.Form):
    """A new silence. Empty patterns match everything."""

    service = forms.CharField(
        max_length=120, required=False, help_text="A name, or a pattern with *; empty for all"
    )
    breaker = forms.CharField(
        max_length=120, required=False, help_text="A name, or a pattern with *; empty for all"
    )
    minutes = forms.TypedChoiceField(
        label="For", choices=list(MINUTES.items()), coerce=int, initial=60
    )
    reason = forms.CharField(max_length=300)


@require_http_methods(["GET", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """List silences, or add one."""
    person = request.user
    assert isinstance(person, Person)
    form = SilenceForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        given, now = form.cleaned_data, time.time()
        try:
            silences.add_silence(
                person, given["service"], given["breaker"], given["reason"],
                ends=now + 60 * given["minutes"], now=now,
            )  # fmt: skip
            return redirect("silences")
        except ValidationError as error:
            for field, messages in error.message_dict.items():
                form.add_error(field if field in form.fields else None, messages)
    status = 422 if form.errors else 200
    return render(request, "pages/silences.html", _context(person, form), status=status)


def _context(person: Person, form: SilenceForm) -> dict[str, Any]:
    now = time.time()
    seen, operable = visible_services(person), services_with(person, OPERATE)

    def shown(rows: list[Silence]) -> list[Silence]:
        # A pattern may stand for services that a person does not see.
        return [
            row
            for row in rows
            if seen.is_all or (row.service and "*" not in row.service and row.service in seen)
        ]

    return {
        "form": form,
        "lasting": [
            (row, operable.is_all or row.service in operable)
            for row in shown(silences.lasting(now))
        ],
        "ended": shown(silences.recent(now)),
        "now": now,
        "operates": bool(operable),
    }


@require_POST
def end(request: HttpRequest, pk: int) -> HttpResponse:
    """End a silence at once."""
    assert isinstance(request.user, Person)
    try:
        silences.end_silence(request.user, pk)
    except Silence.DoesNotExist:
        raise Http404(f"There is no silence {pk}.") from None
    return redirect("silences")
