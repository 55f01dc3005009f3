"""Middleware: tells the audit trail where a request comes from, and records refused requests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from dashboard.access.models import Person
from dashboard.access.services import audit
from dashboard.common.client_address import client_address
from dashboard.common.request_origin import Origin, origin


class RequestOriginMiddleware:
    """Sets `origin` for the time of a request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        token = origin.set(Origin(client_address(request), _session_of(request)))
        try:
            return self._get_response(request)
        finally:
            origin.reset(token)

    def process_exception(self, request: HttpRequest, error: Exception) -> None:
        """Record a request that was refused for lack of authority."""
        if isinstance(error, PermissionDenied):
            record_refusal(request.user if isinstance(request.user, Person) else None, request)


def record_refusal(person: Person | None, request: HttpRequest) -> None:
    """Record that a person was refused."""
    path = request.path[:200]
    audit(person, "refused", method=(request.method or "")[:10], path=ascii(path)[1:-1])


def _session_of(request: HttpRequest) -> str:
    if header := request.headers.get("Authorization"):
        return "token:" + hashlib.sha256(header.encode()).hexdigest()[:12]
    key = request.session.session_key if hasattr(request, "session") else None
    return hashlib.sha256(key.encode()).hexdigest()[:12] if key else ""
