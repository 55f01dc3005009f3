"""httpx behind breakers: transports that any `httpx.Client` or `httpx.AsyncClient` takes.

    client = httpx.Client(transport=ResilientTransport(retries=3))

Each host has its breaker. A call is recorded once, when its body has ended: a host that sends its
headers and then falls silent fails. Only what is safe to repeat is retried; `Retry-After` is obeyed
and `remaining()` bounds every step.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Final, Unpack

from breakers.deadline import Deadline, current_deadline, remaining
from breakers.errors import CallTimeout
from breakers.integrations.exchanges import Answered, Client, Exchanges, Settings, earliest
from breakers.integrations.extras import missing
from breakers.integrations.held import Held, NothingLearnt
from breakers.integrations.hosts import PerHost, host_name
from breakers.integrations.http import is_endless, shortest
from breakers.timeouts import acall_within

try:
    import httpx
except ImportError as error:
    raise missing("httpx", error) from error

__all__ = ["AsyncResilientTransport", "DeadlinePassed", "PerHost", "ResilientTransport"]

# Ours to mend: the host was not asked.
_OUR_OWN: Final = (httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.LocalProtocolError)

_LIMITS: Final = ("connect", "read", "write", "pool")


class DeadlinePassed(CallTimeout, httpx.TimeoutException):
    """The time of the call was up; for handlers of either kind.

    >>> str(DeadlinePassed(0.5))
    'no answer within 0.5 s'
    """

    def __init__(self, seconds: float) -> None:
        httpx.TimeoutException.__init__(self, "the deadline has passed")
        self.args = (seconds,)


class ResilientTransport(httpx.BaseTransport):
    """Puts `transport` behind breakers, retries and deadlines.

    A single request says that it may be repeated, or must not be, with
    `extensions={"safe_to_retry": True}`.

    Args:
        transport: what really sends; `httpx.HTTPTransport()` where it is left out.
        settings: see `breakers.integrations.exchanges.Settings`.

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
            _host(request), may_repeat, lambda: self._send(request), httpx.Response.close
        )
        response = answered.response
        if is_endless(response) or response.is_closed:
            answered.held.leave()
        response.stream = _Body(answered, request)
        return response

    def _send(self, request: httpx.Request) -> httpx.Response:
        request = _bounded(request)
        try:
            response = self._transport.handle_request(request)
        except httpx.TimeoutException as error:
            raise _named(error, current_deadline()) from error
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
            _host(request), may_repeat, lambda: self._send(request), httpx.Response.aclose
        )
        response = answered.response
        if is_endless(response) or response.is_closed:
            answered.held.leave()
        response.stream = _AsyncBody(answered, request)
        return response

    async def _send(self, request: httpx.Request) -> httpx.Response:
        request = _bounded(request)
        try:
            response = await self._transport.handle_async_request(request)
        except httpx.TimeoutException as error:
            raise _named(error, current_deadline()) from error
        response.request = request
        return response

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()


class _Held:
    """A body that holds its place in the breaker until it has ended."""

    def __init__(self, answered: Answered[httpx.Response], asked: httpx.Request) -> None:
        self._held, self._until = answered.held, answered.until
        self._asked, self._sent = asked, answered.response.request
        self._held.rest()

    def _limit(self) -> None:
        """It was sent with what was left then, and is read with what is left now."""
        if self._sent is not self._asked:
            until = earliest(self._until)
            left = None if until is None else until.remaining()
            limit = self._asked.extensions.get("timeout", {}).get("read")
            self._sent.extensions["timeout"]["read"] = shortest(limit, left)


class _Body(_Held, httpx.SyncByteStream):
    def __init__(self, answered: Answered[httpx.Response], asked: httpx.Request) -> None:
        super().__init__(answered, asked)
        stream = answered.response.stream
        assert isinstance(stream, httpx.SyncByteStream)
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        self._limit()
        chunks = iter(self._stream)
        while True:
            until = earliest(self._until)
            _check(until, self._held)
            self._held.resume()
            try:
                chunk = self._next(chunks, until)
            except BaseException as error:
                self._held.leave(_outcome(error))
                raise
            if chunk is None:
                self._held.leave()
                return
            self._held.rest()
            yield chunk

    def _next(self, chunks: Iterator[bytes], until: Deadline | None) -> bytes | None:
        try:
            chunk = next(chunks, None)
        except httpx.TimeoutException as error:
            raise _named(error, until) from error
        _check(until)
        return chunk

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            self._held.leave()


class _AsyncBody(_Held, httpx.AsyncByteStream):
    def __init__(self, answered: Answered[httpx.Response], asked: httpx.Request) -> None:
        super().__init__(answered, asked)
        stream = answered.response.stream
        assert isinstance(stream, httpx.AsyncByteStream)
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._limit()
        chunks = aiter(self._stream)
        while True:
            until = earliest(self._until)
            _check(until, self._held)
            self._held.resume()
            try:
                chunk = await self._next(chunks, until)
            except BaseException as error:
                self._held.leave(_outcome(error))
                raise
            if chunk is None:
                self._held.leave()
                return
            self._held.rest()
            yield chunk

    async def _next(self, chunks: AsyncIterator[bytes], until: Deadline | None) -> bytes | None:
        if until is None:
            return await anext(chunks, None)
        try:
            return await acall_within(until.remaining(), anext, chunks, None)
        except CallTimeout:
            raise DeadlinePassed(until.budget) from None
        except httpx.TimeoutException as error:
            raise _named(error, until) from error

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            self._held.leave()


def _check(until: Deadline | None, unblamed: Held | None = None) -> None:
    if until is not None and until.remaining() <= 0:
        if unblamed is not None:
            # It was the reader who took so long.
            unblamed.leave(NothingLearnt())
        raise DeadlinePassed(until.budget)


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


def _named(error: httpx.TimeoutException, until: Deadline | None) -> httpx.TimeoutException:
    """The error, or, where the client gave up because the deadline passed, that."""
    if until is None or until.remaining() > 0:
        return error
    return DeadlinePassed(until.budget)


def _is_worth(error: Exception) -> bool:
    return isinstance(error, httpx.TransportError) and not isinstance(error, _OUR_OWN)


def _outcome(error: BaseException) -> BaseException:
    if isinstance(error, _OUR_OWN) or isinstance(error.__cause__, _OUR_OWN):
        return NothingLearnt()
    if isinstance(error, httpx.TimeoutException) and not isinstance(error, CallTimeout):
        return CallTimeout()
    return error


_CLIENT: Final = Client(_is_worth, _outcome, DeadlinePassed)
