"""The pages. They read from the mirror and the queries, and act through control's services."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.contrib.auth.views import LoginView
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.views.decorators.http import require_GET, require_http_methods

from dashboard.access.models import Person
from dashboard.access.roles import CHANGE_POLICIES, OPERATE
from dashboard.control import queries as control
from dashboard.control import services as acts
from dashboard.fleet.models import Service
from dashboard.pages.forms import ForceForm, ReleaseForm
from dashboard.pages.mirrored import breaker_view, known_breakers, snapshot
from dashboard.policies import queries as policies


@dataclass(frozen=True)
class Act:
    """An act on a breaker: what the button says, and what it does to calls."""

    slug: str
    title: str
    state: str
    effect: str


ACTS: Final = {
    act.slug: act
    for act in (
        Act(
            "force-open",
            "Force open",
            "forced_open",
            "Every call is refused at once; callers answer with their fallback or an error.",
        ),
        Act(
            "force-closed",
            "Force closed",
            "forced_closed",
            "Every call goes through, whatever fails. The breaker measures and does not trip.",
        ),
        Act(
            "metrics-only",
            "Metrics only",
            "metrics_only",
            "Every call goes through. The breaker says when it would have opened.",
        ),
        Act(
            "automatic",
            "Back to automatic",
            "",
            "The override ends. From forced open the breaker lets probes pass first.",
        ),
    )
}


def _shared(request: HttpRequest) -> dict[str, Any]:
    user = request.user
    return {
        "may_operate": user.has_perm(OPERATE),
        "may_change_policies": user.has_perm(CHANGE_POLICIES) and user.is_staff,
        "acts": ACTS.values(),
    }


@require_GET
def wall(request: HttpRequest) -> HttpResponse:
    """Every breaker of every service, live."""
    shot = snapshot()
    known = Service.objects.exists()
    return render(
        request, "pages/wall.html", {**_shared(request), "snapshot": shot, "has_services": known}
    )


@require_http_methods(["GET", "POST"])
def act(request: HttpRequest, service: str, breaker: str, slug: str) -> HttpResponse:
    """Force a breaker or release it. A page of its own, and the inside of a dialog when a script
    asks for it: then 204 says it is done, 422 that something is wrong at a field."""
    chosen = ACTS.get(slug)
    if chosen is None:
        raise Http404(f"There is no act {slug!r}.")
    person = request.user
    if not (isinstance(person, Person) and person.has_perm(OPERATE)):
        raise PermissionDenied("Operators only.")
    if breaker not in known_breakers(service) and policies.head(service, breaker) is None:
        raise Http404(f"No instance of {service} has reported a breaker named {breaker}.")
    in_dialog = request.headers.get("X-Requested-With") == "fetch"
    make = ForceForm if chosen.state else ReleaseForm
    form = make(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid() and _done(form, person, service, breaker, chosen):
        if in_dialog:
            return HttpResponse(status=204)
        return redirect("breaker", service=service, breaker=breaker)
    context = {
        **_shared(request),
        "act": chosen,
        "form": form,
        "service": service,
        "breaker": breaker,
        "view": breaker_view(service, breaker),
        "reasons": control.recent_reasons(),
    }
    template = "pages/_act.html" if in_dialog else "pages/act.html"
    return render(request, template, context, status=422 if form.is_bound else 200)


def _done(form: ReleaseForm, person: Person, service: str, breaker: str, chosen: Act) -> bool:
    """Do it; what the service refuses is shown at the form's field."""
    data = form.cleaned_data
    try:
        if chosen.state:
            acts.force(person, service, breaker, chosen.state, data["reason"], data["seconds"])
        else:
            acts.lift(person, service, breaker, data["reason"])
    except ValidationError as error:
        for field, messages in error.message_dict.items():
            if field == "expires_in" and data.get("expires_in") == "until":
                field = "until"
            form.add_error(field if field in form.fields else None, messages)
        return False
    return True


def icon(request: HttpRequest) -> HttpResponse:
    """What browsers ask for on pages that name no icon, such as the admin's."""
    return redirect(static("img/mark.svg"))


class Login(LoginView):
    """The door for people."""

    template_name = "pages/login.html"
    redirect_authenticated_user = True
