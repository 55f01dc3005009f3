"""The editor of a policy: of a breaker, of all breakers of a service, of the whole fleet."""

from __future__ import annotations

import time
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from dashboard.access.authority import visible_services
from dashboard.access.models import Person
from dashboard.policies import advice, documents, lint, queries, rollouts, schedule, services
from dashboard.policies.canary_choice import by_share
from dashboard.policies.forms import GROUPS, PolicyForm
from dashboard.policies.models import BreakerPolicy, PolicyVersion, Replay, Rollout
from dashboard.policies.whatif import runs
from dashboard.policies.worst_case import worst_case
from dashboard.web import policy_applied as applied
from dashboard.web.policy_evidence import DAY_S, evidence, read_seconds
from dashboard.web.policy_scopes import address, check_scope, editor, may_edit, seen_version
from dashboard.web.policy_tools import (
    MEASURES_S,
    comparison,
    copy_sources,
    metrics_only,
    read_times,
)

RANGES: Final = {"900": "15 min", "3600": "1 h", "21600": "6 h", "86400": "24 h"}
_SELECTORS: Final = ("instances", "zones", "versions", "tags")


@require_http_methods(["GET", "POST"])
def policy(request: HttpRequest, service: str = "", breaker: str = "") -> HttpResponse:
    """Show the editor; save a version, or start a rollout."""
    check_scope(request, service, breaker)
    head = queries.head(service, breaker) or BreakerPolicy(service=service, breaker=breaker)
    form = PolicyForm(instance=head)
    if request.method == "POST":
        person = editor(request, service)
        data = request.POST.copy()
        data["service"], data["breaker"] = service, breaker
        form = PolicyForm(data, instance=head)
        if form.is_valid():
            form, done = _perform(request, person, form, service, breaker)
            if done:
                return redirect(address(service, breaker))
    return _page(request, form, service, breaker)


def _perform(
    request: HttpRequest, person: Person, form: PolicyForm, service: str, breaker: str
) -> tuple[PolicyForm, bool]:
    data = form.cleaned_data
    action = request.POST.get("action")
    try:
        if action == "rollout":
            _roll_out(request, person, form, service, breaker)
        elif action == "schedule":
            starts, ends = read_times(request.POST)
            fields, reason = data["policy_fields"], data["reason"]
            schedule.schedule(person, service, breaker, fields, reason, starts, ends)
        else:
            services.save(
                person, service, breaker, data["policy_fields"], data["reason"], data["base"] or 0
            )
    except services.PolicyConflict as conflict:
        again = form.rebased()
        again.is_valid()
        again.add_error(None, conflict.messages[0])
        return again, False
    except ValidationError as error:
        _add(form, error)
        return form, False
    return form, True


def _roll_out(
    request: HttpRequest, person: Person, form: PolicyForm, service: str, breaker: str
) -> None:
    data, selector = form.cleaned_data, _selector(request, service, breaker)
    measures_s = MEASURES_S if "metrics_only" in request.POST else 0.0
    with transaction.atomic():
        made = rollouts.start(
            person,
            service,
            breaker,
            data["policy_fields"],
            selector,
            data["reason"],
            promotes="promotes" in request.POST,
            measures_s=measures_s,
        )
        if measures_s:
            metrics_only(person, made, measures_s)


def _add(form: PolicyForm, error: ValidationError) -> None:
    if not hasattr(error, "error_dict"):
        form.add_error(None, error.messages[0])
        return
    for field, messages in error.message_dict.items():
        form.add_error(field if field in form.fields else None, messages[0])


def _page(request: HttpRequest, form: PolicyForm, service: str, breaker: str) -> HttpResponse:
    effective = queries.effective(service, breaker) if breaker else None
    findings = lint.breaker(service, breaker) if breaker else []
    advised = advice.breaker(service, breaker) if breaker else []
    rows = {row.spec.name: row for row in queries.explained(service, breaker)}
    context = {
        "service": service,
        "breaker": breaker,
        "form": form,
        "groups": [
            (title, [_row(form, name, rows[name], findings) for name in names])
            for title, names in GROUPS
        ],
        "versions": applied.versions(service, breaker),
        "rollouts": queries.rollouts(service, breaker) if breaker else [],
        "running": queries.running_rollout(service, breaker) if breaker else None,
        "findings": findings,
        "applied": applied.instances(service, breaker),
        "applied_recent": applied.is_recent(service, breaker),
        "worst": worst_case(effective) if effective else None,
        "ranges": RANGES,
        "may_edit": may_edit(request, service),
        "histogram": evidence(request.user, service, breaker, DAY_S) if breaker else None,
        "advice": advised,
        "looser": [each for each in advised if each.is_looser],
        "scheduled": schedule.waiting(service, breaker),
        "comparison": comparison(request.GET, service, breaker),
        "sources": copy_sources(request.user, service, breaker) if breaker else [],
        "drift": documents.drift(request.user, service, breaker) if service else None,
        "measures": f"{MEASURES_S / 60:.0f} min",
        "replays": Replay.objects.filter(service=service, breaker=breaker)[:5] if breaker else [],
    }
    status = 422 if form.is_bound and form.errors else 200
    return render(request, "pages/policy.html", context, status=status)


def _row(
    form: PolicyForm, name: str, row: queries.Effective, findings: list[lint.Finding]
) -> dict[str, Any]:
    return {
        "field": form[name],
        "spec": form.fields[name],
        "row": row,
        "findings": [each for each in findings if each.field == name],
    }


@require_POST
def what_if(request: HttpRequest, service: str, breaker: str) -> JsonResponse:
    """Queue a what-if of the typed policy over the last `seconds`; save an incident by name."""
    check_scope(request, service, breaker)
    person = editor(request, service)
    head = queries.head(service, breaker) or BreakerPolicy(service=service, breaker=breaker)
    data = request.POST.copy()
    data["service"], data["breaker"] = service, breaker
    form = PolicyForm(data, instance=head)
    if not form.is_valid():
        return JsonResponse({"errors": form.errors}, status=422)
    try:
        seconds = read_seconds(request.POST.get("seconds", "3600"))
        now = time.time()
        if name := request.POST.get("incident", "").strip():
            runs.save_incident(person, name, service, breaker, now - seconds, now)
            return JsonResponse({"saved": name})
        asked = runs.ask(
            person,
            service,
            breaker,
            form.cleaned_data["policy_fields"],
            now - seconds,
            now,
            request.POST.get("source") or Replay.HISTORY,
        )
    except ValidationError as error:
        errors = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
        return JsonResponse({"errors": errors}, status=422)
    return JsonResponse({"url": reverse("replay", args=[asked.pk])}, status=202)


@require_http_methods(["GET", "POST"])
def replay(request: HttpRequest, pk: int) -> JsonResponse:
    """How a what-if goes; POST cancels it."""
    asked = get_object_or_404(Replay, pk=pk)
    if asked.service not in visible_services(request.user):
        raise Http404
    if request.method == "POST":
        runs.cancel(editor(request, asked.service), pk)
        asked.refresh_from_db()
    return JsonResponse(
        {
            "state": asked.state,
            "progress": asked.progress,
            "result": asked.result,
            "error": asked.error,
            "begins": asked.begins,
            "ends": asked.ends,
        }
    )


@require_POST
def restore(request: HttpRequest, pk: int) -> HttpResponse:
    """Roll back to a version."""
    version = get_object_or_404(PolicyVersion.objects.select_related("policy"), pk=pk)
    scope = version.policy
    person = editor(request, scope.service)
    try:
        services.roll_back(person, version, seen_version(request))
    except ValidationError as error:
        head = queries.head(scope.service, scope.breaker)
        form = PolicyForm(instance=head)
        context = {"messages_here": error.messages}
        return render(request, "pages/policy_refused.html", {**context, "form": form}, status=422)
    return redirect(address(scope.service, scope.breaker))


@require_POST
def decide(request: HttpRequest, pk: int, decision: str) -> HttpResponse:
    """Promote a rollout, or take it back."""
    row = get_object_or_404(Rollout.objects.select_related("policy"), pk=pk)
    person = editor(request, row.policy.service)
    act = {"promote": rollouts.promote, "stop": rollouts.stop}.get(decision)
    if act is None:
        raise Http404
    try:
        act(person, pk)
    except ValidationError as error:
        return render(
            request, "pages/policy_refused.html", {"messages_here": error.messages}, status=422
        )
    return redirect(address(row.policy.service, row.policy.breaker))


def _selector(request: HttpRequest, service: str, breaker: str) -> dict[str, list[str]]:
    chosen = {}
    for name in _SELECTORS:
        typed = request.POST.getlist(name)
        chosen[name] = [
            part.strip()
            for each in typed
            for part in (each.split(",") if name != "instances" else [each])
            if part.strip()
        ]
    if share := request.POST.get("share", "").strip():
        if any(chosen.values()):
            raise ValidationError("Share of the instances: leave it empty where you choose others.")
        chosen["instances"] = by_share(service, breaker, share)
    return chosen
