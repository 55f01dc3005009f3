"""httpx behind breakers: transports that any `httpx.Client` or `httpx.AsyncClient` takes.

    client = httpx.Client(transport=ResilientTransport(retries=3))

Each host has its breaker. A call is recorded once, when its body has ended: a host that sends its
headers and then falls silent fails. Only what is safe to repeat is retried; `Retry-After` is obeyed
and `remaining()` bounds every step.
"""

from __future__ import annotations

from typing import Final, Unpack

from breakers.calls.timeouts import acall_within
from breakers.deadline import current_deadline, remaining
from breakers.integrations.http_attempts import Client, Exchanges, Settings
from breakers.integrations.http_rules import DRAIN_S, is_endless, is_soon_read, shortest
from breakers.integrations.httpx_bodies import (
    OUR_OWN,
    AsyncBody,
    Body,
    DeadlinePassed,
    named,
    outcome,
)
from breakers.integrations.missing_extra import missing
from breakers.integrations.per_host import PerHost, host_name

try:
    import httpx
except ImportError as error:
    raise missing("httpx", error) from error

__all__ = ["AsyncResilientTransport", "DeadlinePassed", "PerHost", "ResilientTransport"]

_LIMITS: Final = ("connect", "read", "write", "pool")


class ResilientTransport(httpx.BaseTransport):
    """Puts `transport` behind breakers, retries and deadlines.

    A single request says that it may be repeated, or must not be, with
    `extensions={"safe_to_retry": True}`.

    Args:
        transport: what really sends; `httpx.HTTPTransport()` where it is left out.
        settings: see `breakers.integrations.http_attempts.Settings`.

    Raises:
        PolicyError: naming the field, its value and what would be right.
    """

    def __init__(
        self, transport: httpx.BaseTransport | None = None, **settings: Unpack[Settings]
    ) -> None:
        self._transport = transport or httpx.HTTPTransport()
        self._exchanges = Exchanges(_CLIENT, **settings)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Make the request.

        Raises:
            CircuitBreakerOpen: the breaker refused; the host was not asked.
            DeadlinePassed: the time was up.
            httpx.TransportError: what the last attempt ended with.
        """
        may_repeat = _may_repeat(request, self._exchanges)
        answered = self._exchanges.make(
            _host(request), may_repeat, lambda: self._send(request), _dismiss
        )
        response = answered.response
        if is_endless(response) or response.is_closed:
            answered.held.leave()
        response.stream = Body(answered, request)
        return response

    def _send(self, request: httpx.Request) -> httpx.Response:
        request = _bounded(request)
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
    """`ResilientTransport` for `httpx.AsyncClient`; a timeout really cancels."""

    def __init__(
        self, transport: httpx.AsyncBaseTransport | None = None, **settings: Unpack[Settings]
    ) -> None:
        self._transport = transport or httpx.AsyncHTTPTransport()
        self._exchanges = Exchanges(_CLIENT, **settings)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Make the request; a cancelled one says nothing about the host.

        Raises:
            CircuitBreakerOpen: the breaker refused; the host was not asked.
            DeadlinePassed: the time was up.
            httpx.TransportError: what the last attempt ended with.
        """
        may_repeat = _may_repeat(request, self._exchanges)
        answered = await self._exchanges.amake(
            _host(request), may_repeat, lambda: self._send(request), _adismiss
        )
        response = answered.response
        if is_endless(response) or response.is_closed:
            answered.held.leave()
        response.stream = AsyncBody(answered, request)
        return response

    async def _send(self, request: httpx.Request) -> httpx.Response:
        request = _bounded(request)
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


def _may_repeat(request: httpx.Request, exchanges: Exchanges) -> bool:
    declared = request.extensions.get("safe_to_retry")
    safe = exchanges.is_safe(request) if declared is None else bool(declared)
    # A body that is made while it is sent can be sent once.
    return safe and isinstance(request.stream, httpx.ByteStream)


def _bounded(request: httpx.Request) -> httpx.Request:
    """The request, with no limit of the client's longer than what is left of the deadline."""
    left = remaining()
    if left is None:
        return request
    limits = request.extensions.get("timeout", {})
    shorter = {name: shortest(limits.get(name), left) for name in _LIMITS}
    return httpx.Request(
        request.method,
        request.url,
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "timeout": shorter},
    )


def _is_worth(error: Exception) -> bool:
    return isinstance(error, httpx.TransportError) and not isinstance(error, OUR_OWN)


_CLIENT: Final = Client(_is_worth, outcome, DeadlinePassed)
