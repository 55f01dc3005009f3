"""The page of drills: saved ones, what is under way, the report of a run, and the kill path."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from dashboard.access.authority import services_with, visible_services
from dashboard.access.models import Person
from dashboard.access.roles import OPERATE
from dashboard.control import drill_reports, drills, kill_path
from dashboard.control.models import Drill, DrillRun
from dashboard.fleet.snapshot.reads import service_names

_RUNS: Final = 20
_LENGTHS: Final = {30: "30 s", 60: "1 min", 300: "5 min", 900: "15 min", 3600: "1 hour"}


class DrillForm(forms.Form):
    """A drill to save. The service layer checks what is written."""

    name = forms.CharField(max_length=120)
    service = forms.CharField(max_length=120)
    breaker = forms.CharField(max_length=120)
    kind = forms.ChoiceField(choices=list(drills.KINDS.items()))
    share = forms.IntegerField(label="Share of the calls, in per cent", initial=50)
    latency_s = forms.FloatField(
        label="Latency, in seconds", initial=0, required=False, help_text="Before the call, if any"
    )
    seconds = forms.TypedChoiceField(
        label="For", choices=list(_LENGTHS.items()), coerce=int, initial=60
    )
    instances = forms.CharField(
        required=False, help_text="Names, parted by commas; empty for all instances"
    )

    def given(self) -> dict[str, Any]:
        """What `drills.save` takes."""
        data = {**self.cleaned_data, "share": self.cleaned_data["share"] / 100}
        data["latency_s"] = data["latency_s"] or 0.0
        names = [each.strip() for each in data["instances"].split(",")]
        return {**data, "instances": [each for each in names if each] or None}


@require_http_methods(["GET", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """List drills, or save one."""
    person = _person(request)
    form = DrillForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            drills.save(person, **form.given())
            return redirect("drills")
        except ValidationError as error:
            for field, messages in error.message_dict.items():
                form.add_error(field if field in form.fields else None, messages)
    status = 422 if form.errors else 200
    return render(request, "pages/drills.html", _context(person, form), status=status)


@require_POST
def run(request: HttpRequest, pk: int) -> HttpResponse:
    """Run a drill, or with `delete` delete it."""
    person, drill = _person(request), _drill(request, pk)
    try:
        if "delete" in request.POST:
            drills.forget(person, drill)
            return redirect("drills")
        made = drills.run(person, drill, request.POST.get("reason", ""))
    except ValidationError as error:
        context = _context(person, DrillForm(), error.messages)
        return render(request, "pages/drills.html", context, status=422)
    return redirect("drill-run", id=made.pk)


@require_GET
def report(request: HttpRequest, id: str) -> HttpResponse:
    """What came of a run, so far."""
    person, row = _person(request), _run(request, id)
    found = drill_reports.report(row, person)
    context = {
        "report": found,
        "kinds": drills.KINDS,
        "is_under_way": drills.standing().filter(pk=row.pk).exists(),
        "may": row.service in services_with(person, OPERATE),
    }
    return render(request, "pages/drill_run.html", context)


@require_POST
def stop(request: HttpRequest, id: str) -> HttpResponse:
    """Stop a run before its time."""
    person, row = _person(request), _run(request, id)
    drills.stop(person, row.pk)
    return redirect("drill-run", id=row.pk)


@require_POST
def drill_kill_path(request: HttpRequest, service: str) -> HttpResponse:
    """Drill the kill path of a service now."""
    person = _person(request)
    if service not in visible_services(person):
        raise Http404(f"There is no service {service}.")
    try:
        kill_path.drill(service, person)
    except ValidationError as error:
        context = _context(person, DrillForm(), error.messages)
        return render(request, "pages/drills.html", context, status=422)
    return redirect("drills")


def _context(person: Person, form: DrillForm, wrong: list[str] | None = None) -> dict[str, Any]:
    visible, operable = visible_services(person), services_with(person, OPERATE)
    names = [each for each in service_names() if each in visible]
    paths = kill_path.lasts(names)
    return {
        "form": form,
        "wrong": wrong or [],
        "saved": [
            (row, row.service in operable) for row in Drill.objects.all() if row.service in visible
        ],
        "under_way": [row for row in drills.standing() if row.service in visible],
        "runs": [row for row in DrillRun.objects.all()[:_RUNS] if row.service in visible],
        "paths": [(name, paths.get(name), name in operable) for name in names],
        "kinds": drills.KINDS,
        "operates": bool(operable),
    }


def _person(request: HttpRequest) -> Person:
    assert isinstance(request.user, Person)
    return request.user


def _drill(request: HttpRequest, pk: int) -> Drill:
    row = Drill.objects.filter(pk=pk).first()
    if row is None or row.service not in visible_services(_person(request)):
        raise Http404(f"There is no drill {pk}.")
    return row


def _run(request: HttpRequest, id: str) -> DrillRun:
    row = DrillRun.objects.filter(pk=id).first() if "\0" not in id else None
    if row is None or row.service not in visible_services(_person(request)):
        raise Http404(f"There is no run {id}.")
    return row
