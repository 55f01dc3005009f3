"""Views that force, release and undo overrides: on one breaker, on many.

Each form is a page of its own, and a dialog fragment when a script requests it. A script gets the
result by service as JSON, or status 422 with the form and the error at each field.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from allauth.account.internal.flows.reauthentication import did_recently_reauthenticate
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from dashboard.access.models import Person
from dashboard.access.roles import OPERATE
from dashboard.control import actions, approvals
from dashboard.control import queries as control
from dashboard.control.action_catalogue import (
    ACTS,
    FLEET,
    INSTANCES,
    SELECTED,
    STEPS,
    Act,
    Reach,
    everywhere,
    is_fleet_wide,
    next_step,
    reach,
)
from dashboard.control.override_writes import Target
from dashboard.fleet.snapshot.reads import breaker_view, snapshot
from dashboard.policies import queries as policies
from dashboard.web.forms import ForceForm, PartialForm, ReleaseForm, TargetsField


@dataclass(frozen=True)
class Scope:
    """One choice of scope, with the instances and calls that it affects."""

    value: str
    title: str
    reach: Reach
    sentence: str


@require_http_methods(["GET", "POST"])
def one(request: HttpRequest, service: str, breaker: str, slug: str) -> HttpResponse:
    """Force one breaker or release it."""
    chosen, person = _allowed(request, slug)
    target = Target(service, breaker)
    if _unknown([target]):
        raise Http404(f"No instance of {service} has reported a breaker named {breaker}.")
    return _answer(request, person, chosen, [target], is_blank=request.method == "GET")


@require_POST
def many(request: HttpRequest, slug: str) -> HttpResponse:
    """Act on the breakers in `targets`, pairs of service and breaker as JSON. With `preview` it
    only renders the form, which says what the act would do."""
    chosen, person = _allowed(request, slug)
    try:
        targets = TargetsField().clean(request.POST.get("targets", ""))
    except ValidationError as error:
        return _refused({"targets": error.messages})
    if unknown := _unknown(targets):
        first = f"{unknown[0].breaker} of {unknown[0].service}"
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        return _refused({"targets": [f"No instance has reported {first}{more}."]})
    return _answer(request, person, chosen, targets, is_blank="preview" in request.POST)


@require_POST
def undo(request: HttpRequest, act_id: str) -> HttpResponse:
    """Undo an act on every breaker that nobody has changed since."""
    person = request.user
    if not isinstance(person, Person):
        raise PermissionDenied("Operators only.")
    try:
        outcome = actions.undo(person, request.POST.get("act_id") or str(uuid.uuid4()), act_id)
    except ValidationError as error:
        return _refused(error.message_dict)
    return _done(outcome)


def _allowed(request: HttpRequest, slug: str) -> tuple[Act, Person]:
    chosen = ACTS.get(slug)
    if chosen is None:
        raise Http404(f"There is no act {slug!r}.")
    person = request.user
    if not (isinstance(person, Person) and person.has_perm(OPERATE)):
        raise PermissionDenied("Operators only.")
    return chosen, person


def _unknown(targets: Sequence[Target]) -> list[Target]:
    """Targets that no instance reports and no policy names."""
    return [
        each
        for each in targets
        if breaker_view(each.service, each.breaker) is None
        and policies.head(each.service, each.breaker) is None
    ]


def _answer(
    request: HttpRequest, person: Person, chosen: Act, targets: list[Target], is_blank: bool
) -> HttpResponse:
    in_dialog = request.headers.get("X-Requested-With") == "fetch"
    view = breaker_view(targets[0].service, targets[0].breaker) if len(targets) == 1 else None
    form = _form(chosen, view, None if is_blank else request.POST)
    scopes = _scopes(chosen, targets)
    if form.is_bound and form.is_valid():
        _check_confirmation(form, scopes, targets)
    if (
        form.is_bound
        and form.is_valid()
        and (outcome := _act(request, form, person, chosen, targets))
    ):
        if in_dialog:
            return _done(outcome)
        if len(targets) == 1:
            return redirect("breaker", service=targets[0].service, breaker=targets[0].breaker)
        return redirect("wall")
    context = {
        "act": chosen,
        "form": form,
        "targets": targets,
        "encoded": msgspec.json.encode([(t.service, t.breaker) for t in targets]).decode(),
        "act_id": form["act_id"].value() or uuid.uuid4(),
        "scopes": scopes,
        "large": any(each.reach.needs_confirmation for each in scopes),
        "scope": form["scope"].value() or SELECTED,
        "chosen_instances": form["instances"].value() or [],
        "view": view,
        "steps": STEPS,
        "reasons": control.recent_reasons(),
    }
    template = "pages/_act.html" if in_dialog else "pages/act.html"
    return render(request, template, context, status=422 if form.is_bound else 200)


def _form(chosen: Act, view: Any, posted: Any) -> ReleaseForm:
    """The form of an act. A share that stands is offered with its next step and its reason."""
    if chosen.state != "forced_partial":
        return (ForceForm if chosen.needs_end else ReleaseForm)(posted)
    standing = view["override"] if view else None
    if standing is None or "share" not in standing:
        return PartialForm(posted)
    initial = {"share": next_step(standing["share"]), "reason": standing["reason"]}
    return PartialForm(posted, initial=initial)


def _scopes(chosen: Act, targets: list[Target]) -> list[Scope]:
    """The chosen breakers, and those of the same names in the whole fleet if there are any."""
    shot = snapshot()
    near = reach(shot, targets)
    single = len(targets) == 1
    title = f"All of {targets[0].service}" if single else "The selected breakers"
    found = [Scope(SELECTED, title, near, near.sentence(chosen))]
    wide = everywhere(shot, targets)
    if len(wide) > len(targets):
        far = reach(shot, wide)
        names = targets[0].breaker if single else "these names"
        title = f"Every {names} of the fleet" if single else "Breakers of these names, fleet-wide"
        found.append(Scope(FLEET, title, far, far.sentence(chosen)))
    return found


def _check_confirmation(form: ReleaseForm, scopes: list[Scope], targets: list[Target]) -> None:
    """A large reach must be confirmed by its number, so that it is not reached by accident."""
    value = form.cleaned_data["scope"] or SELECTED
    if value == INSTANCES:
        names = tuple(form.cleaned_data["instances"])
        some = [Target(each.service, each.breaker, names) for each in targets]
        chosen: Reach | None = reach(snapshot(), some)
    else:
        chosen = next((each.reach for each in scopes if each.value == value), None)
    if chosen is None or not chosen.needs_confirmation:
        return
    text = form.cleaned_data["confirm"]
    if not chosen.is_confirmed_by(text):
        right = f"{chosen.breakers} (breakers) or {chosen.rate:.0f} (calls/s)"
        message = f"Type {right} to confirm."
        form.add_error("confirm", f"{text!r} is not it. {message}" if text else message)


def _act(
    request: HttpRequest, form: ReleaseForm, person: Person, chosen: Act, targets: list[Target]
) -> actions.Outcome | None:
    """Perform the act. Errors of the service layer are shown at the form's field."""
    data = form.cleaned_data
    shot = snapshot()
    if data["scope"] == FLEET:
        targets = everywhere(shot, targets)
    elif data["scope"] == INSTANCES:
        names = tuple(data["instances"])
        targets = [Target(each.service, each.breaker, names) for each in targets]
    is_wide = data["scope"] == FLEET or is_fleet_wide(shot, targets)
    if is_wide and not did_recently_reauthenticate(request):
        form.add_error(None, f"Confirm who you are first: {reverse('account_reauthenticate')}")
        return None
    try:
        return approvals.perform(
            person,
            data["act_id"] or str(uuid.uuid4()),
            targets,
            chosen.state,
            data["reason"],
            data.get("seconds"),
            data["share"] / 100 if "share" in data else None,
        )
    except approvals.ApprovalNeeded as needed:
        form.add_error(None, f"{needed} See {reverse('approvals')}")
        return None
    except ValidationError as error:
        for field, messages in error.message_dict.items():
            if field == "expires_in" and data.get("expires_in") == "until":
                field = "until"
            form.add_error(field if field in form.fields else None, messages)
        return None


def _done(outcome: actions.Outcome) -> HttpResponse:
    body = msgspec.json.encode(outcome)
    return HttpResponse(body, "application/json")


def _refused(errors: dict[str, Any]) -> HttpResponse:
    return JsonResponse({"errors": errors}, status=400)
