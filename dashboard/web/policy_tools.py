"""Around the editor of a policy: comparing, copying, scheduling, measuring first, bulk edits."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_http_methods, require_POST

from breakers.errors import PolicyError
from dashboard.access.authority import visible_services
from dashboard.access.models import Person
from dashboard.control import actions
from dashboard.control.override_writes import Target
from dashboard.fleet.snapshot.reads import snapshot
from dashboard.policies import documents, lint, queries, rollouts, schedule, services
from dashboard.policies.knobs import KNOBS
from dashboard.policies.models import BreakerPolicy, PolicyVersion, Rollout, ScheduledChange
from dashboard.policies.quantities import parse, show, wanted
from dashboard.web.policy_scopes import address, check_scope, editor, may_edit, seen_version

# How long a canary refuses nothing when it is asked to be measured first.
MEASURES_S: Final = 300.0
INHERIT: Final = "inherit"


def comparison(asked: Mapping[str, Any], service: str, breaker: str) -> dict[str, Any] | None:
    """Two versions of a scope side by side, by their numbers in `one` and `other`."""
    numbers = [str(asked.get(name, "")) for name in ("one", "other")]
    if not all(each.isascii() and each.isdigit() and len(each) < 9 for each in numbers):
        return None
    rows = PolicyVersion.objects.filter(policy__service=service, policy__breaker=breaker)
    found = {row.number: row for row in rows.filter(number__in=[int(each) for each in numbers])}
    try:
        one, other = (found[int(each)] for each in numbers)
    except KeyError:
        return None
    sides = [
        {
            "name": name,
            "one": show(KNOBS[name], each["before"]) if "before" in each else "inherited",
            "other": show(KNOBS[name], each["after"]) if "after" in each else "inherited",
        }
        for name, each in queries.compare(one, other).items()
        if name in KNOBS
    ]
    return {"one": one, "other": other, "fields": sides}


def copy_sources(person: Any, service: str, breaker: str) -> list[BreakerPolicy]:
    """The breakers whose policies can be copied: those that set something and that one sees."""
    rows = BreakerPolicy.objects.exclude(breaker="").exclude(fields={})
    rows = rows.exclude(service=service, breaker=breaker)
    visible = visible_services(person)
    return [row for row in rows[:500] if row.service in visible]


def read_times(posted: Mapping[str, Any]) -> tuple[datetime, datetime | None]:
    """The start and the end of a schedule, in the zone of the page.

    Raises:
        ValidationError: at the field that is wrong.
    """
    starts = _time(posted, "starts")
    if starts is None:
        raise ValidationError("Starts: type a date and a time, such as 2026-11-24T02:47.")
    return starts, _time(posted, "ends")


def _time(posted: Mapping[str, Any], name: str) -> datetime | None:
    typed = str(posted.get(name) or "").strip()
    if not typed:
        return None
    try:
        at = parse_datetime(typed)
        if at is not None:
            return at if timezone.is_aware(at) else timezone.make_aware(at)
    except (ValueError, OverflowError):
        pass
    shown = typed[:40]
    raise ValidationError(
        f"{name.capitalize()}: {shown} is not a date and a time, such as 2026-11-24T02:47."
    )


def metrics_only(person: Person, rollout: Rollout, seconds: float) -> None:
    """Let the instances of a canary refuse nothing for a while."""
    policy = rollout.policy
    names = rollouts.selected_now(rollout)
    if not names:
        raise ValidationError("No connected instance is selected: nothing could be measured.")
    target = Target(policy.service, policy.breaker, tuple(names))
    reason = f"canary measured first: {rollout.reason or 'no reason given'}"
    actions.act(person, secrets.token_hex(8), [target], "metrics_only", reason[:500], seconds)


@require_POST
def copy(request: HttpRequest, service: str, breaker: str) -> HttpResponse:
    """Give a breaker the policy of another one."""
    check_scope(request, service, breaker)
    person = editor(request, service)
    source = get_object_or_404(BreakerPolicy, pk=request.POST.get("source") or 0)
    if source.service not in visible_services(person):
        raise Http404
    try:
        services.copy(person, source, service, breaker, seen_version(request))
    except ValidationError as error:
        return refused(request, error)
    return redirect(address(service, breaker))


@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Cancel a scheduled change that has not started."""
    row = get_object_or_404(ScheduledChange.objects.select_related("policy"), pk=pk)
    schedule.cancel(editor(request, row.policy.service), pk)
    return redirect(address(row.policy.service, row.policy.breaker))


def refused(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """The page that says why nothing was done."""
    context = {"messages_here": error.messages}
    return render(request, "pages/policy_refused.html", context, status=422)


@require_http_methods(["GET", "POST"])
def overview(request: HttpRequest) -> HttpResponse:
    """The findings of the linter, the drift from git, and the same edit at many breakers."""
    visible = visible_services(request.user)
    if not visible:
        raise PermissionDenied("You may not see policies.")
    asked = request.POST if request.method == "POST" else request.GET
    filters = {name: str(asked.get(name, "")).strip()[:120] for name in ("service", "breaker")}
    shown = [
        (each["name"], view["name"])
        for each in snapshot()["services"]
        if each["name"] in visible
        for view in each["breakers"]
    ]
    matching = sorted(
        key
        for key in shown
        if filters["service"].casefold() in key[0].casefold()
        and filters["breaker"].casefold() in key[1].casefold()
    )
    errors: list[str] = []
    saved: list[PolicyVersion] = []
    chosen: list[tuple[str, str]] = []
    if request.method == "POST":
        chosen = [key for key in matching if "/".join(key) in request.POST.getlist("scope")]
        try:
            saved = _save_many(request, chosen)
        except ValidationError as error:
            errors = error.messages
    context = {
        "findings": lint.fleet(request.user),
        "drift": documents.drift(request.user),
        "filters": filters,
        "matching": [
            {
                "service": service,
                "breaker": breaker,
                "may_edit": may_edit(request, service),
                # Nothing is chosen at first: a save must not reach what nobody pointed at.
                "is_chosen": bool(errors) and (service, breaker) in chosen,
            }
            for service, breaker in matching[: services.MAX_BULK]
        ],
        "knobs": [(name, spec.help) for name, spec in KNOBS.items()],
        "typed": {name: asked.get(name, "") for name in ("field", "value", "reason")},
        "errors": errors,
        "saved": saved,
    }
    return render(request, "pages/policies.html", context, status=422 if errors else 200)


def _save_many(request: HttpRequest, chosen: list[tuple[str, str]]) -> list[PolicyVersion]:
    if not isinstance(request.user, Person):
        raise PermissionDenied
    if not chosen:
        raise ValidationError("Choose at least one breaker.")
    spec = KNOBS.get(request.POST.get("field", ""))
    if spec is None:
        raise ValidationError("Choose a field of a policy.")
    typed = request.POST.get("value", "").strip()
    reason = request.POST.get("reason", "")
    if typed == INHERIT:
        return services.save_many(request.user, chosen, {}, [spec.name], reason)
    try:
        value = parse(spec, typed)
    except PolicyError as error:
        right = f"it must be {wanted(spec)}, or {INHERIT}"
        wrong = f"{spec.name}: {str(error.value)[:60]} is not allowed: {right}."
        raise ValidationError(wrong) from None
    return services.save_many(request.user, chosen, {spec.name: value}, (), reason)
