"""Django's answer where a breaker is open."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from breakers.integrations.error_responses import REFUSALS, refusal
from breakers.integrations.missing_extra import missing

try:
    from asgiref.sync import iscoroutinefunction, markcoroutinefunction
    from django.core.signals import got_request_exception
    from django.http import HttpRequest, HttpResponse
    from django.http.response import HttpResponseBase
except ImportError as error:
    raise missing("django", error) from error

GetResponse = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]
_ATTRIBUTE = "_breakers_refusal"


class BreakerMiddleware:
    """Answers 503 with `Retry-After` where a breaker, a bulkhead or a rate limit refused, and 504
    where a call was out of time, sync and async. Put it first.

    A subclass may answer otherwise: see `unavailable`.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)
        got_request_exception.connect(_note, dispatch_uid="breakers.integrations.django")

    def __call__(self, request: HttpRequest) -> Any:
        if self._is_async:
            return self._acall(request)
        response = self.get_response(request)
        assert isinstance(response, HttpResponseBase)
        return self._instead(request, response)

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        assert inspect.isawaitable(response)
        return self._instead(request, await response)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """What a view raised."""
        return self.unavailable(request, error) if isinstance(error, REFUSALS) else None

    def unavailable(self, request: HttpRequest, error: Exception) -> HttpResponse:
        """The answer for an error."""
        answer = refusal(error)
        return HttpResponse(answer.body, status=answer.status, headers=answer.headers)

    def _instead(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """What other middleware raises, Django has made a 500 of before it comes here."""
        error = getattr(request, _ATTRIBUTE, None)
        if error is None or response.status_code != 500:
            return response
        # Not closed: that would tell the world that the request is finished.
        return self.unavailable(request, error)


def _note(sender: object, request: HttpRequest | None = None, **kwargs: object) -> None:
    error = sys.exception()
    if request is not None and isinstance(error, REFUSALS):
        setattr(request, _ATTRIBUTE, error)
