"""Middleware for Django: 503 and 504 responses for refused and timed-out calls."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from breakers.integrations.carried import HEADERS, Carried, incoming, under
from breakers.integrations.error_responses import refusal, refusal_in
from breakers.integrations.missing_extra import missing_extra

try:
    from asgiref.sync import iscoroutinefunction, markcoroutinefunction
    from django.core.signals import got_request_exception
    from django.http import HttpRequest, HttpResponse
    from django.http.response import HttpResponseBase
except ImportError as error:
    raise missing_extra("django", error) from error

GetResponse = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]
_ATTRIBUTE = "_breakers_refusal"


class BreakerMiddleware:
    """Responds with 503 and `Retry-After` when a breaker, bulkhead or rate limit refused a call,
    and with 504 when a call timed out. Sync and async. Put it first in `MIDDLEWARE`.

    Override `unavailable` to change the response. A subclass with `carried = True` takes over the
    deadline and the criticality that the caller sends, see `breakers.integrations.carried`: only
    for services whose callers are trusted.
    """

    carried = False
    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)
        got_request_exception.connect(
            _remember_refusal, dispatch_uid="breakers.integrations.django"
        )

    def __call__(self, request: HttpRequest) -> Any:
        if self._is_async:
            return self._acall(request)
        with under(self._sent_with(request)):
            response = self.get_response(request)
        assert isinstance(response, HttpResponseBase)
        return self._replace_500(request, response)

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        with under(self._sent_with(request)):
            response = self.get_response(request)
            assert inspect.isawaitable(response)
            answered = await response
        return self._replace_500(request, answered)

    def _sent_with(self, request: HttpRequest) -> Carried:
        if not self.carried:
            return Carried()
        return incoming(*(request.headers.get(name) for name in HEADERS))

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """The response for an exception of a view."""
        refused = refusal_in(error)
        return None if refused is None else self.unavailable(request, refused)

    def unavailable(self, request: HttpRequest, error: Exception) -> HttpResponse:
        """The response for an error."""
        answer = refusal(error)
        return HttpResponse(answer.body, status=answer.status, headers=answer.headers)

    def _replace_500(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Replace the 500 response that Django made of an exception in other middleware."""
        error = getattr(request, _ATTRIBUTE, None)
        if error is None or response.status_code != 500:
            return response
        # The old response is not closed: that would send `request_finished`.
        return self.unavailable(request, error)


def _remember_refusal(sender: object, request: HttpRequest | None = None, **kwargs: object) -> None:
    error = sys.exception()
    refused = None if error is None else refusal_in(error)
    if request is not None and refused is not None:
        setattr(request, _ATTRIBUTE, refused)
