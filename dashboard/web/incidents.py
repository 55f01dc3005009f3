"""The pages of incidents: the list, one incident with its actions, and the card's JSON."""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from dashboard.access.authority import may, visible_services
from dashboard.access.models import Person
from dashboard.access.roles import OPERATE, VIEW_AUDIT
from dashboard.alerts import outbox, queries, services
from dashboard.alerts.impact import advise, impact_of, instances_of
from dashboard.alerts.incident_acts import ACTS, Given, perform
from dashboard.alerts.models import Incident, Marker
from dashboard.alerts.observations import InstanceFacts
from dashboard.alerts.picture import picture
from dashboard.alerts.postmortem import postmortem
from dashboard.alerts.rule_kinds import SEVERITIES
from dashboard.alerts.splits import split
from dashboard.fleet.snapshot.reads import breaker_view, snapshot

_LIST: Final = 100
_MARKERS: Final = 20
_CARDS: Final = 3
_CONSIDERED: Final = 20
_HELPS: Final = 200
_HELP_KEPT_S: Final = 2.0
_helps: dict[int, tuple[float, dict[str, str] | None]] = {}


@require_GET
def incidents(request: HttpRequest) -> HttpResponse:
    """All incidents, the open ones first."""
    seen = visible_services(request.user)
    closed = queries.visible(
        Incident.objects.exclude(ended=None).filter(merged_into=None), seen, _LIST
    )
    context = {
        "open": queries.open_incidents(seen),
        "closed": closed,
        "failing": outbox.failing_channels(),
    }
    return render(request, "pages/incidents.html", context)


def _visible(request: HttpRequest, pk: int) -> Incident:
    found = queries.visible(Incident.objects.filter(pk=pk), visible_services(request.user), 1)
    if not found:
        raise Http404(f"There is no incident {pk}.")
    return found[0]


@require_GET
def incident(request: HttpRequest, pk: int) -> HttpResponse:
    """One incident: cause, symptoms, timeline, and what an operator can do."""
    return _page(request, _visible(request, pk))


def _page(
    request: HttpRequest, found: Incident, error: str = "", status: int = 200
) -> HttpResponse:
    firings = list(found.firings.all())
    symptoms: dict[tuple[str, str], list[Any]] = {}
    for each in firings:
        symptoms.setdefault((each.service, each.breaker), []).append(each)
    cause = symptoms.pop((found.service, found.breaker), [])
    context = {
        "incident": found,
        "cause": cause,
        "symptoms": sorted(symptoms.items(), key=lambda each: each[1][0].began),
        "firings": firings,
        "events": found.events.all(),
        "markers": _markers(found),
        "split": _split(found),
        "help": _help(found),
        "error": error,
        "operates": may(request.user, OPERATE, found.service),
        "from_message": outbox.is_link_of(found, request.GET.get("ack", "")),
        "severities": SEVERITIES,
        "people": Person.objects.filter(is_active=True).order_by("username")[:200],
        "others": Incident.objects.filter(ended=None, merged_into=None).exclude(pk=found.pk)[:50],
    }
    return render(request, "pages/incident.html", context, status=status)


def _markers(found: Incident) -> list[Marker]:
    until = found.ended or time.time()
    names = services.services_of(found) | {""}
    rows = queries.markers(found.began - 3600, until)
    return [each for each in rows if each.service in names][:_MARKERS]


def _split(found: Incident) -> list[dict[str, Any]]:
    """Open and all instances of the first cause by version and zone, where there are several."""
    instances = _instances(found.service, found.breaker).values()
    rows = []
    for by in ("version", "zone"):
        shares = split(instances, by)
        if len(shares) > 1:
            rows += [
                {"by": by, "value": value, "open": opened, "total": total}
                for value, (opened, total) in sorted(shares.items())
            ]
    return rows


def _instances(service: str, breaker: str) -> dict[str, InstanceFacts]:
    view = breaker_view(service, breaker)
    shot = snapshot(service)["services"]
    if view is None or not shot:
        return {}
    return instances_of(view["instances"], {each["id"]: each for each in shot[0]["instances"]})


def _help(found: Incident) -> dict[str, str] | None:
    """The action that would help most at this moment, with its effect. Each browser asks for it
    every few seconds: it is kept for two."""
    if found.ended is not None:
        return None
    known = _helps.get(found.pk)
    if known is not None and time.monotonic() - known[0] < _HELP_KEPT_S:
        return known[1]
    if len(_helps) > _HELPS:
        _helps.clear()
    help = _fresh_help(found)
    _helps[found.pk] = (time.monotonic(), help)
    return help


def _fresh_help(found: Incident) -> dict[str, str] | None:
    first = (found.service, found.breaker)
    rows = found.firings.order_by("began").values_list("service", "breaker")[:_LIST]
    nodes = list(dict.fromkeys([first, *rows]))[:_CONSIDERED]
    impacts = {}
    for service in {node[0] for node in nodes}:
        for shot in snapshot(service)["services"]:
            infos = {each["id"]: each for each in shot["instances"]}
            for view in shot["breakers"]:
                if (service, view["name"]) in nodes:
                    instances = instances_of(view["instances"], infos).values()
                    impacts[service, view["name"]] = impact_of(view, instances)
    advice = advise(impacts, first)
    if advice is None:
        return None
    return {
        "url": reverse("act", args=[*advice.node, advice.act]),
        "label": advice.label,
        "effect": advice.effect,
    }


@require_POST
def act_on_incident(request: HttpRequest, pk: int, act: str) -> HttpResponse:
    """Acknowledge, resolve, assign, note, merge, split, or set the severity."""
    found = _visible(request, pk)
    person = request.user
    assert isinstance(person, Person)
    try:
        if act not in ACTS:
            raise Http404(f"{act!r} is not an action on incidents.")
        pk = perform(person, pk, act, _given(request))
    except ValidationError as error:
        return _page(request, found, " ".join(error.messages), 422)
    return redirect("incident", pk)


def _given(request: HttpRequest) -> Given:
    form = request.POST
    return Given(
        assignee=form.get("assignee", ""),
        text=form.get("text", ""),
        severity=form.get("severity", ""),
        into=_number(form["into"]) if "into" in form else 0,
        firings=[_number(each) for each in form.getlist("firing")],
    )


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise ValidationError(f"{text[:40]!r} is not a number.")
    return int(text)


@require_GET
def incident_markdown(request: HttpRequest, pk: int) -> HttpResponse:
    """The post-mortem."""
    found = _visible(request, pk)
    text = postmortem(found, request.user.has_perm(VIEW_AUDIT))
    response = HttpResponse(text, "text/markdown; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="incident-{pk}.md"'
    return response


@require_GET
def incident_picture(request: HttpRequest, pk: int) -> HttpResponse:
    """The timeline of one incident as SVG."""
    found = _visible(request, pk)
    response = HttpResponse(picture(found, request.user.has_perm(VIEW_AUDIT)), "image/svg+xml")
    response["Cache-Control"] = "no-store"
    return response


@require_GET
def open_incidents(request: HttpRequest) -> HttpResponse:
    """The cards on top of wall, map and TV, as JSON."""
    shown = queries.open_incidents(visible_services(request.user))
    body = {
        "incidents": [
            {
                "id": each.pk,
                "headline": each.headline,
                "severity": each.severity,
                "began": each.began,
                "acknowledged": each.acknowledged is not None,
                "url": reverse("incident", args=[each.pk]),
                "help": _help(each) if may(request.user, OPERATE, each.service) else None,
            }
            for each in shown[:_CARDS]
        ],
        "more": max(0, len(shown) - _CARDS),
        "channels": [each.name for each in outbox.failing_channels()],
    }
    response = HttpResponse(msgspec.json.encode(body), "application/json")
    response["Cache-Control"] = "no-store"
    return response
