"""Who calls the API: a personal token, or the session of a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.sessions.models import Session
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.utils import timezone
from ninja.security import HttpBearer

from dashboard.access.models import Person, PersonalToken
from dashboard.access.personal_tokens import authenticate
from dashboard.api.operators.problems import ApiError, unauthenticated

# GitLab's webhooks can send no other header.
_OF_GITLAB = "X-Gitlab-Token"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Caller:
    """The person that a request acts for, and the scopes it has. A session has every scope."""

    person: Person
    scopes: frozenset[str]
    token_id: int | None = None
    session: str = ""

    @property
    def key(self) -> str:
        """Identifies the caller in rate limits and idempotency keys."""
        if self.token_id is not None:
            return f"token:{self.token_id}"
        return f"person:{self.person.pk}"

    def demand_scope(self, scope: str) -> None:
        """Raise a 403 unless the token has a scope."""
        if self.token_id is not None and scope not in self.scopes:
            raise ApiError(
                403,
                "scope",
                f"This token lacks the scope {scope!r}; create one that has it.",
                headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
            )


def caller_of(request: HttpRequest, address: str) -> Caller:
    """Authenticate a request.

    Raises:
        ApiError: 401 without a valid token or session; 403 for a session without a CSRF token.
    """
    header = request.headers.get("Authorization", "")
    if not header and (own := request.headers.get(_OF_GITLAB)):
        header = f"Bearer {own}"
    if header:
        scheme, _, raw = header.partition(" ")
        token = authenticate(raw.strip(), address) if scheme.lower() == "bearer" else None
        if token is None:
            raise unauthenticated("This token is unknown, expired or revoked.")
        return Caller(token.person, frozenset(token.scopes), token.pk)
    person = request.user
    if not (isinstance(person, Person) and person.is_active):
        raise unauthenticated()
    if request.method not in _SAFE and not _has_csrf_token(request):
        stale = "The CSRF token is missing or stale: load the page again."
        raise ApiError(403, "csrf", stale, [("X-CSRFToken", "missing or stale")])
    return Caller(person, frozenset(), session=request.session.session_key or "")


def is_valid(caller: Caller) -> bool:
    """Whether a caller that was authenticated some time ago still would be: the token, or the
    session that the request came from, and the account."""
    if caller.token_id is not None:
        rows = PersonalToken.objects.filter(pk=caller.token_id, revoked=None)
        return rows.filter(expires__gt=timezone.now(), person__is_active=True).exists()
    sessions = Session.objects.filter(session_key=caller.session, expire_date__gt=timezone.now())
    is_active = Person.objects.filter(pk=caller.person.pk, is_active=True).exists()
    return is_active and sessions.exists()


class _CsrfCheck(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> HttpResponse:
        return HttpResponse(reason, status=403)


def _has_csrf_token(request: HttpRequest) -> bool:
    check = _CsrfCheck(lambda request: HttpResponse())
    # The middleware has passed this view, because it is exempt.
    request.csrf_processing_done = False  # type: ignore[attr-defined]
    check.process_request(request)
    return check.process_view(request, lambda: HttpResponse(), (), {}) is None


class TokenAuth(HttpBearer):
    """Documents the bearer token in the OpenAPI; `pipeline` has authenticated the request."""

    def __call__(self, request: HttpRequest) -> Any:
        return getattr(request, "caller", None)

    def authenticate(self, request: HttpRequest, token: str) -> Any:
        raise NotImplementedError
