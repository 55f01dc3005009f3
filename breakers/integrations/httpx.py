"""Breakers for httpx: transports for `httpx.Client` and `httpx.AsyncClient`.

    client = httpx.Client(transport=ResilientTransport(retries=3))

Each host has its own breaker. A call is recorded once, when its body ends: a host that sends its
headers and then stops counts as failed. Only safe requests are retried. `Retry-After` sets
the pause, and `remaining()` limits every step.
"""

from __future__ import annotations

from typing import Final, Unpack

from breakers.calls.coroutine_timeouts import acall_within
from breakers.deadline import current_deadline, remaining
from breakers.integrations.carried import carries, outgoing
from breakers.integrations.http_attempts import Client, HttpAttempts, Settings
from breakers.integrations.http_rules import DRAIN_S, is_endless, is_soon_read, shortest
from breakers.integrations.httpx_bodies import (
    OUR_OWN,
    AsyncBody,
    Body,
    DeadlinePassed,
    named,
    outcome,
)
from breakers.integrations.missing_extra import missing_extra
from breakers.integrations.per_host import PerHost, host_name

try:
    import httpx
except ImportError as error:
    raise missing_extra("httpx", error) from error

__all__ = ["AsyncResilientTransport", "DeadlinePassed", "PerHost", "ResilientTransport"]

_LIMITS: Final = ("connect", "read", "write", "pool")


class ResilientTransport(httpx.BaseTransport):
    """A transport with breakers, retries and deadlines around another transport.

    `extensions={"safe_to_retry": True}` on a request overrides whether it may be repeated.

    Args:
        transport: the transport that sends; `httpx.HTTPTransport()` by default.
        settings: see `breakers.integrations.http_attempts.Settings`.

    Raises:
        PolicyError: naming the field, its value and what would be right.
    """

    def __init__(
        self, transport: httpx.BaseTransport | None = None, **settings: Unpack[Settings]
    ) -> None:
        self._transport = transport or httpx.HTTPTransport()
        self._attempts = HttpAttempts(_CLIENT, **settings)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Make the request.

        Raises:
            CircuitBreakerOpen: the breaker refused; the request was not sent.
            DeadlinePassed: the attempt or the call timed out.
            httpx.TransportError: the error of the last attempt.
        """
        may_repeat = _may_repeat(request, self._attempts)
        guarded = self._attempts.run(
            _host(request), may_repeat, lambda: self._send(request), _dismiss
        )
        response = guarded.response
        if is_endless(response) or response.is_closed:
            guarded.permit.leave()
        response.stream = Body(guarded, request)
        return response

    def _send(self, request: httpx.Request) -> httpx.Response:
        request = _bounded(request, self._attempts)
        try:
            response = self._transport.handle_request(request)
        except httpx.TimeoutException as error:
            raise named(error, current_deadline()) from error
        response.request = request
        return response

    def close(self) -> None:
        """Close the transport."""
        self._transport.close()


class AsyncResilientTransport(httpx.AsyncBaseTransport):
    """`ResilientTransport` for `httpx.AsyncClient`. A timeout cancels the request."""

    def __init__(
        self, transport: httpx.AsyncBaseTransport | None = None, **settings: Unpack[Settings]
    ) -> None:
        self._transport = transport or httpx.AsyncHTTPTransport()
        self._attempts = HttpAttempts(_CLIENT, awaits=True, **settings)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Make the request. The breaker does not record a cancelled one.

        Raises:
            CircuitBreakerOpen: the breaker refused; the request was not sent.
            DeadlinePassed: the attempt or the call timed out.
            httpx.TransportError: the error of the last attempt.
        """
        may_repeat = _may_repeat(request, self._attempts)
        guarded = await self._attempts.arun(
            _host(request), may_repeat, lambda: self._send(request), _adismiss
        )
        response = guarded.response
        if is_endless(response) or response.is_closed:
            guarded.permit.leave()
        response.stream = AsyncBody(guarded, request)
        return response

    async def _send(self, request: httpx.Request) -> httpx.Response:
        request = _bounded(request, self._attempts)
        try:
            response = await self._transport.handle_async_request(request)
        except httpx.TimeoutException as error:
            raise named(error, current_deadline()) from error
        response.request = request
        return response

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()


def _dismiss(response: httpx.Response) -> None:
    limits = response.request.extensions.get("timeout")
    try:
        if limits and is_soon_read(response):
            before = limits.get("read")
            limits["read"] = shortest(before, DRAIN_S)
            try:
                response.read()
            finally:
                limits["read"] = before
    finally:
        response.close()


async def _adismiss(response: httpx.Response) -> None:
    try:
        if is_soon_read(response):
            await acall_within(DRAIN_S, response.aread)
    finally:
        await response.aclose()


def _host(request: httpx.Request) -> str:
    return host_name(request.url.scheme, request.url.host, request.url.port)


def _may_repeat(request: httpx.Request, attempts: HttpAttempts) -> bool:
    declared = request.extensions.get("safe_to_retry")
    safe = attempts.is_safe(request) if declared is None else bool(declared)
    # A generated body can be sent only once.
    return safe and isinstance(request.stream, httpx.ByteStream)


def _bounded(request: httpx.Request, attempts: HttpAttempts) -> httpx.Request:
    """The request, with the client's limits capped at the time left, and with the headers that
    carry it."""
    left = remaining()
    carried = outgoing() if carries(attempts.carry, _host(request)) else {}
    if left is None and not carried:
        return request
    limits = request.extensions.get("timeout", {})
    if left is not None:
        limits = {name: shortest(limits.get(name), left) for name in _LIMITS}
    headers = request.headers.copy()
    headers.update(carried)
    return httpx.Request(
        request.method,
        request.url,
        headers=headers,
        stream=request.stream,
        extensions={**request.extensions, "timeout": limits},
    )


def _is_worth(error: Exception) -> bool:
    return isinstance(error, httpx.TransportError) and not isinstance(error, OUR_OWN)


_CLIENT: Final = Client(_is_worth, outcome, DeadlinePassed)
