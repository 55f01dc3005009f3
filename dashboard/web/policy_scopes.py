"""The scopes of policies as pages address them, and who may see and edit them."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.urls import reverse

from dashboard.access.authority import may, services_with, visible_services
from dashboard.access.models import Person
from dashboard.access.roles import CHANGE_POLICIES
from dashboard.fleet.snapshot.reads import breaker_view
from dashboard.policies import queries


def check_scope(request: HttpRequest, service: str, breaker: str) -> None:
    visible = visible_services(request.user)
    if service and service not in visible:
        raise Http404(f"No service is named {service}.")
    if not service and not visible:
        raise PermissionDenied("You may not see policies.")
    known = breaker_view(service, breaker) is not None if breaker else True
    if breaker and not known and queries.head(service, breaker) is None:
        raise Http404(f"No instance of {service} has reported a breaker named {breaker}.")


def may_edit(request: HttpRequest, service: str) -> bool:
    if not service:
        return services_with(request.user, CHANGE_POLICIES).is_all
    return may(request.user, CHANGE_POLICIES, service)


def editor(request: HttpRequest, service: str) -> Person:
    if not (isinstance(request.user, Person) and may_edit(request, service)):
        raise PermissionDenied("You may not change this policy.")
    return request.user


def seen_version(request: HttpRequest) -> int | None:
    """The number of the newest version that the page showed, if the form says so: what was saved
    since is not overwritten unseen."""
    typed = str(request.POST.get("base", ""))
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 10 else None


def address(service: str, breaker: str) -> str:
    if breaker:
        return reverse("policy", args=[service, breaker])
    return reverse("service_policy", args=[service]) if service else reverse("fleet_policy")
