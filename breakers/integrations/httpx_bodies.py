"""The bodies of httpx responses. Each holds its breaker's permit until it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Final

from breakers.calls.coroutine_timeouts import acall_within
from breakers.deadline import Deadline
from breakers.errors import CallTimeout
from breakers.integrations.http_attempts import Flow, GuardedResponse, earliest
from breakers.integrations.http_rules import shortest
from breakers.integrations.missing_extra import missing_extra
from breakers.integrations.permits import NoOutcome, Permit

try:
    import httpx
except ImportError as error:
    raise missing_extra("httpx", error) from error

# Errors of the client itself: the request was not sent.
OUR_OWN: Final = (httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.LocalProtocolError)


class DeadlinePassed(CallTimeout, httpx.TimeoutException):
    """The attempt or the call timed out. A subclass of both libraries' timeout errors.

    >>> str(DeadlinePassed(0.5))
    'no answer within 0.5 s'
    """

    def __init__(self, seconds: float) -> None:
        httpx.TimeoutException.__init__(self, "the deadline has passed")
        self.args = (seconds,)


def outcome(error: BaseException) -> BaseException:
    """The error that the breaker records."""
    if isinstance(error, OUR_OWN) or isinstance(error.__cause__, OUR_OWN):
        return NoOutcome()
    if isinstance(error, httpx.TimeoutException) and not isinstance(error, CallTimeout):
        return CallTimeout()
    return error


def named(error: httpx.TimeoutException, until: Deadline | None) -> httpx.TimeoutException:
    """The error, or `DeadlinePassed` if the client timed out because of the deadline."""
    if until is None or until.remaining() > 0:
        return error
    return DeadlinePassed(until.budget)


def _check(until: Deadline | None, permit: Permit | None = None) -> None:
    if until is not None and until.remaining() <= 0:
        if permit is not None:
            # The reader used up the time, not the host.
            permit.leave(NoOutcome())
        raise DeadlinePassed(until.budget)


class _PermitHolder:
    """Holds the permit and limits each read."""

    def __init__(self, guarded: GuardedResponse[httpx.Response], asked: httpx.Request) -> None:
        self._permit, self._until = guarded.permit, guarded.until
        self._asked, self._sent = asked, guarded.response.request
        self._permit.answered()
        self._flow = Flow(guarded)

    def _limit(self) -> None:
        """Update the read limit: the request was sent with the time left at that moment."""
        if self._sent is not self._asked:
            until = earliest(self._until)
            left = None if until is None else until.remaining()
            limit = self._asked.extensions.get("timeout", {}).get("read")
            self._sent.extensions["timeout"]["read"] = shortest(limit, left)


class Body(_PermitHolder, httpx.SyncByteStream):
    """The body of a sync response."""

    def __init__(self, guarded: GuardedResponse[httpx.Response], asked: httpx.Request) -> None:
        super().__init__(guarded, asked)
        stream = guarded.response.stream
        assert isinstance(stream, httpx.SyncByteStream)
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        self._limit()
        chunks = iter(self._stream)
        while True:
            until = earliest(self._until)
            _check(until, self._permit)
            self._permit.resume()
            try:
                chunk = self._next(chunks, until)
            except BaseException as error:
                self._permit.leave(outcome(error))
                raise
            if chunk is None:
                self._permit.leave()
                return
            self._permit.rest()
            self._flow.arrived()
            yield chunk

    def _next(self, chunks: Iterator[bytes], until: Deadline | None) -> bytes | None:
        try:
            chunk = next(chunks, None)
        except httpx.TimeoutException as error:
            raise named(error, until) from error
        _check(until)
        return chunk

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            self._permit.leave()


class AsyncBody(_PermitHolder, httpx.AsyncByteStream):
    """The body of an async response."""

    def __init__(self, guarded: GuardedResponse[httpx.Response], asked: httpx.Request) -> None:
        super().__init__(guarded, asked)
        stream = guarded.response.stream
        assert isinstance(stream, httpx.AsyncByteStream)
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self._limit()
        chunks = aiter(self._stream)
        while True:
            until = earliest(self._until)
            _check(until, self._permit)
            self._permit.resume()
            try:
                chunk = await self._next(chunks, until)
            except BaseException as error:
                self._permit.leave(outcome(error))
                raise
            if chunk is None:
                self._permit.leave()
                return
            self._permit.rest()
            self._flow.arrived()
            yield chunk

    async def _next(self, chunks: AsyncIterator[bytes], until: Deadline | None) -> bytes | None:
        if until is None:
            return await anext(chunks, None)
        try:
            return await acall_within(until.remaining(), anext, chunks, None)
        except CallTimeout:
            raise DeadlinePassed(until.budget) from None
        except httpx.TimeoutException as error:
            raise named(error, until) from error

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            self._permit.leave()
