"""The history of a policy in the admin: its versions, where each is in force, and their return."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse

from dashboard.access.models import Person
from dashboard.fleet.services import revision
from dashboard.fleet.snapshot.reads import snapshot
from dashboard.policies import services
from dashboard.policies.models import BreakerPolicy, PolicyVersion


class PolicyHistory(admin.ModelAdmin):
    """Replaces Django's log, which does not see what the services write."""

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        policy = get_object_or_404(BreakerPolicy, pk=object_id)
        if not self.has_view_or_change_permission(request, policy):
            raise PermissionDenied
        if request.method == "POST":
            return self._restore(request, policy)
        context = {
            **self.admin_site.each_context(request),
            "title": f"History of {policy}",
            "policy": policy,
            "opts": self.opts,
            "versions": policy.versions.all()[:200],
            "applied": applied(policy.service),
            "may_restore": self.has_change_permission(request, policy),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/policies/breakerpolicy/history.html", context)

    def _restore(self, request: HttpRequest, policy: BreakerPolicy) -> HttpResponse:
        if not self.has_change_permission(request, policy):
            raise PermissionDenied
        assert isinstance(request.user, Person)
        version = get_object_or_404(
            PolicyVersion, policy=policy, number=request.POST.get("number") or 0
        )
        try:
            made = services.roll_back(request.user, version)
        except ValidationError as error:
            self.message_user(request, "; ".join(error.messages), messages.WARNING)
        else:
            words = f"Version {version.number} is in force again, as version {made.number}."
            self.message_user(request, words, messages.SUCCESS)
        return redirect(request.path)


def applied(service: str) -> dict[str, int] | None:
    """How many instances of a service have applied its settings; None for the whole fleet."""
    if not service:
        return None
    wanted = revision(service)
    instances = [
        each
        for known in snapshot(service)["services"]
        for each in known["instances"]
        if not each["stale"]
    ]
    there = sum(each["revision"] >= wanted for each in instances)
    return {"revision": wanted, "there": there, "total": len(instances)}
