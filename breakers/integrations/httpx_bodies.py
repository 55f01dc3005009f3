"""The bodies of httpx's responses, each in its place in the breaker until it has ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Final

from breakers.calls.timeouts import acall_within
from breakers.deadline import Deadline
from breakers.errors import CallTimeout
from breakers.integrations.http_attempts import Answered, earliest
from breakers.integrations.http_rules import shortest
from breakers.integrations.missing_extra import missing
from breakers.integrations.permits import Held, NothingLearnt

try:
    import httpx
except ImportError as error:
    raise missing("httpx", error) from error

# Ours to mend: the host was not asked.
OUR_OWN: Final = (httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.LocalProtocolError)


class DeadlinePassed(CallTimeout, httpx.TimeoutException):
    """The time of the call was up; for handlers of either kind.

    >>> str(DeadlinePassed(0.5))
    'no answer within 0.5 s'
    """

    def __init__(self, seconds: float) -> None:
        httpx.TimeoutException.__init__(self, "the deadline has passed")
        self.args = (seconds,)


def outcome(error: BaseException) -> BaseException:
    """What a breaker is told of an error."""
    if isinstance(error, OUR_OWN) or isinstance(error.__cause__, OUR_OWN):
        return NothingLearnt()
    if isinstance(error, httpx.TimeoutException) and not isinstance(error, CallTimeout):
        return CallTimeout()
    return error


def named(error: httpx.TimeoutException, until: Deadline | None) -> httpx.TimeoutException:
    """The error, or, where the client gave up because the deadline passed, that."""
    if until is None or until.remaining() > 0:
        return error
    return DeadlinePassed(until.budget)


def _check(until: Deadline | None, unblamed: Held | None = None) -> None:
    if until is not None and until.remaining() <= 0:
        if unblamed is not None:
            # It was the reader who took so long.
            unblamed.leave(NothingLearnt())
        raise DeadlinePassed(until.budget)


class _Held:
    """Whose place it is, and how long a read may wait."""

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


class Body(_Held, httpx.SyncByteStream):
    """A body that threads read."""

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
                self._held.leave(outcome(error))
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
            raise named(error, until) from error
        _check(until)
        return chunk

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            self._held.leave()


class AsyncBody(_Held, httpx.AsyncByteStream):
    """A body that coroutines read."""

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
                self._held.leave(outcome(error))
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
            raise named(error, until) from error

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            self._held.leave()
