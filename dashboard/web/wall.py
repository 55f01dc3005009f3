"""The wall, and the views of it that people saved."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from dashboard.access import services as access
from dashboard.access.models import Person
from dashboard.fleet.models import Service
from dashboard.web.first_view import first_view

WORST_FIRST = (
    "open",
    "forced_open",
    "half_open",
    "stale",
    "forced_partial",
    "metrics_only",
    "forced_closed",
    "closed",
)
# In order: the later ones override the earlier ones.
_SHEETS = tuple(
    f"css/{name}.css" for name in ("wall", "wall-rows", "wall-tiles", "progress", "wall-narrow")
)
# Above this number of breakers the page omits sparklines and its no-script table, to stay small;
# the socket delivers them.
_LARGE = 500


@require_GET
def wall(request: HttpRequest) -> HttpResponse:
    """Every breaker of every service that the person sees, live."""
    assert isinstance(request.user, Person)
    shot = first_view(request.user)
    is_large = sum(len(service["breakers"]) for service in shot["services"]) > _LARGE
    if is_large:
        for service in shot["services"]:
            service["breakers"] = [
                {**each, "spark": [], "spark_err": []} for each in service["breakers"]
            ]
    context = {
        "snapshot": shot,
        "is_large": is_large,
        "has_services": Service.objects.exists(),
        "sheets": _SHEETS,
        "states": WORST_FIRST,
        "saved_views": request.user.views.all(),
    }
    return render(request, "pages/wall.html", context)


@require_POST
def keep(request: HttpRequest) -> HttpResponse:
    """Save a view under a name. Status 400 carries the error of each field."""
    assert isinstance(request.user, Person)
    query = request.POST.get("query", "").removeprefix("?")
    try:
        view = access.keep_view(request.user, request.POST.get("name", ""), query)
    except ValidationError as error:
        return JsonResponse({"errors": error.message_dict}, status=400)
    return JsonResponse({"id": view.pk, "name": view.name, "query": view.query})


@require_POST
def forget(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete a view of the user; 404 if there is none with this number."""
    assert isinstance(request.user, Person)
    found = access.forget_view(request.user, pk)
    return HttpResponse(status=204 if found else 404)
