"""Middleware: denies by default what a person may not see.

Without any role only the pages of one's own account are shown. A page or a resource of a service
that the person does not see does not exist for them. Pages of many services show those that the
person sees; what cannot be told apart by service is shown to people with a role on all services.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse

from dashboard.access.authority import visible_services
from dashboard.access.models import Person

# Pages of one's own account, pages without data, and those that filter what they show.
_OPEN_NAMES: Final = frozenset(
    {
        *("login", "logout", "first_admin", "icon", "manifest", "worker", "offline", "styleguide"),
        *("sessions", "revoke_session", "revoke_sessions", "tokens", "revoke_token", "device"),
        *("healthz", "readyz", "status", "status-now"),
    }
)
_FILTERED_NAMES: Final = frozenset(
    {
        *("in_force", "release_mine", "change_override", "approvals", "decide", "audit"),
        *("incidents", "incident", "incident-act", "incident-markdown", "incident-picture"),
        *("open-incidents", "silences", "silence-end"),
        *("drills", "run-drill", "drill-run", "stop-drill"),
        *("glossary", "wall", "tv", "map", "fleet", "moment", "moments"),
        *("policies_overview", "replay", "restore_policy", "decide_rollout", "cancel_scheduled"),
        *("audit_export", "acts", "undo", "keep_view", "forget_view", "metrics"),
    }
)


class VisibilityMiddleware:
    """Checks each view before it runs. The REST API checks by itself."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, arguments: Any, named: dict[str, Any]
    ) -> None:
        """Raise unless the person may see what the view shows."""
        match, person = request.resolver_match, request.user
        if match is None or not isinstance(person, Person) or _is_open(request, view):
            return
        visible = visible_services(person)
        if visible.is_all:
            return
        if not visible:
            raise PermissionDenied("Your account has no role yet: ask an administrator for one.")
        service = named.get("service")
        if service is not None:
            if service not in visible:
                raise Http404(f"No service is named {service}.")
        elif match.url_name not in _FILTERED_NAMES:
            raise PermissionDenied(
                "This page spans the whole fleet; your roles are on some services: "
                + ", ".join(sorted(visible.patterns))
            )


def _is_open(request: HttpRequest, view: Any) -> bool:
    match = request.resolver_match
    assert match is not None
    is_account = request.path.startswith(("/account/", "/admin/"))
    has_own_check = not getattr(view, "login_required", True)
    return is_account or has_own_check or match.url_name in _OPEN_NAMES
