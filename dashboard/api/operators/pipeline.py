"""What surrounds every operation of the API: authentication, rate limits, idempotency, headers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from dashboard.access.authority import visible_services
from dashboard.api.operators.authentication import Caller, caller_of
from dashboard.api.operators.idempotency import once
from dashboard.api.operators.problems import CONTENT_TYPE, ApiError
from dashboard.api.operators.rate_limits import spend
from dashboard.common.client_address import client_address

logger = logging.getLogger("switchgear.api")
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_BODY: Final = 1_000_000
# Names of operations.
_WITHOUT_CALLER: Final = frozenset({"begin_device_login", "finish_device_login"})
_OWN_ACCOUNT: Final = frozenset(
    {
        *("me", "list_tokens", "create_token", "revoke_token"),
        *("list_sessions", "revoke_session", "revoke_sessions"),
    }
)


class ApiRequest(HttpRequest):
    """A request that `pipeline` has authenticated."""

    caller: Caller


def guarded(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponseBase]:
    """Surround a view of the API."""

    @wraps(view)
    def answer(request: HttpRequest, /, *arguments: Any, **named: Any) -> HttpResponseBase:
        try:
            return _answer(view, request, *arguments, **named)
        except ApiError as error:
            return _finished(error.response())
        except Exception:
            logger.exception("a request of the API failed")
            detail = "The server failed to answer; its log has the request's id."
            return _finished(ApiError(500, "server_error", detail).response())

    # Authentication is done here, and a request without it gets a 401 instead of a redirect.
    answer.login_required = False  # type: ignore[attr-defined]
    answer.csrf_exempt = True  # type: ignore[attr-defined]
    return answer


def _answer(
    view: Callable[..., HttpResponse], request: HttpRequest, /, *arguments: Any, **named: Any
) -> HttpResponseBase:
    address = client_address(request)
    match = request.resolver_match
    if match is not None and match.url_name in _WITHOUT_CALLER:
        # Apart from wrong tokens: whoever guesses these stops nobody else at the address.
        spend(f"device:{address}", settings.API_ADDRESS_RATE)
        return _finished(view(request, *arguments, **named))
    try:
        caller = caller_of(request, address)
    except ApiError:
        spend(f"address:{address}", settings.API_ADDRESS_RATE)
        raise
    allowance = spend(caller.key, settings.API_RATE)
    _demand_role(request, caller)
    request.caller = caller  # type: ignore[attr-defined]
    if int(request.headers.get("Content-Length") or 0) > MAX_BODY:
        raise ApiError(413, "too_large", f"A body has at most {MAX_BODY} bytes.")
    try:
        if request.method in _SAFE:
            response: HttpResponseBase = view(request, *arguments, **named)
        else:
            response = once(request, caller.key, lambda: view(request, *arguments, **named))
    except ApiError as error:
        response = error.response()
    if response.status_code == 405:
        allowed = response.headers.get("Allow", "")
        wrong = f"{request.method} is not allowed here; {allowed} are."
        response = ApiError(405, "method", wrong, headers={"Allow": allowed}).response()
    allowance.add_headers(response)  # type: ignore[arg-type]
    return _finished(response)


def _demand_role(request: HttpRequest, caller: Caller) -> None:
    """Deny by default: an account without a role has its own account only."""
    match = request.resolver_match
    is_own = match is None or match.url_name in _OWN_ACCOUNT
    if not (is_own or visible_services(caller.person)):
        without = "Your account has no role yet: ask an administrator for one."
        raise ApiError(403, "no_role", without)


def _finished(response: HttpResponseBase) -> HttpResponseBase:
    response.setdefault("Cache-Control", "no-store")
    return response


__all__ = ["CONTENT_TYPE", "ApiRequest", "guarded"]
