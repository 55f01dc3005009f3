"""requests behind breakers: an adapter that any `requests.Session` takes.

    session = requests.Session()
    session.mount("https://", ResilientAdapter(retries=3))

Each host has its breaker. A call is recorded once, when its body has ended: a host that sends its
headers and then falls silent fails. Only what is safe to repeat is retried; `Retry-After` is obeyed
and `remaining()` bounds every step.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar, Unpack
from urllib.parse import urlsplit

from breakers.deadline import Deadline, current_deadline, remaining
from breakers.errors import CallTimeout
from breakers.integrations.http_attempts import Answered, Client, Exchanges, Settings, earliest
from breakers.integrations.http_rules import DRAIN_S, is_endless, is_soon_read, shortest
from breakers.integrations.missing_extra import missing
from breakers.integrations.per_host import PerHost, host_name
from breakers.integrations.permits import NothingLearnt

try:
    import requests
    from requests.adapters import BaseAdapter, HTTPAdapter
    from urllib3 import BaseHTTPResponse, Timeout
    from urllib3.exceptions import ReadTimeoutError
except ImportError as error:
    raise missing("requests", error) from error

__all__ = ["DeadlinePassed", "PerHost", "ResilientAdapter"]

T = TypeVar("T")
_CHUNK: Final = 65536
# Ours to mend: the host was not asked.
_OUR_OWN: Final = (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)


class DeadlinePassed(CallTimeout, requests.Timeout):
    """The time of the call was up; for handlers of either kind.

    >>> str(DeadlinePassed(0.5))
    'no answer within 0.5 s'
    """

    def __init__(self, seconds: float) -> None:
        requests.Timeout.__init__(self, seconds)


class ResilientAdapter(BaseAdapter):
    """Puts an adapter behind breakers, retries and deadlines.

    Args:
        adapter: what really sends; `HTTPAdapter()` where it is left out.
        settings: see `breakers.integrations.http_attempts.Settings`.

    Raises:
        PolicyError: naming the field, its value and what would be right.
    """

    def __init__(self, adapter: BaseAdapter | None = None, **settings: Unpack[Settings]) -> None:
        super().__init__()
        self._adapter = adapter or HTTPAdapter()
        self._exchanges = Exchanges(_CLIENT, **settings)

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Make the request.

        Raises:
            CircuitBreakerOpen: the breaker refused; the host was not asked.
            DeadlinePassed: the time was up.
            requests.RequestException: what the last attempt ended with.
        """
        attempts = 0

        def send() -> requests.Response:
            nonlocal attempts
            attempts += 1
            if attempts > 1 and isinstance(_position(request), int):
                requests.utils.rewind_body(request)
            try:
                return self._adapter.send(request, stream, _bounded(timeout), verify, cert, proxies)
            except requests.Timeout as error:
                raise _named(error) from error

        may_repeat = self._exchanges.is_safe(request) and _may_repeat(request)
        answered = self._exchanges.make(_host(request), may_repeat, send, _dismiss)
        if is_endless(answered.response):
            answered.held.leave()
        _Body(answered, _limits(timeout)[1]).watch()
        return answered.response

    def close(self) -> None:
        """Close the adapter."""
        self._adapter.close()


class _Body:
    """Watches urllib3's response, so that the body holds its place in the breaker until it has
    ended. The response stays the object that it is: some ask for its type."""

    def __init__(self, answered: Answered[requests.Response], limit: float | None) -> None:
        self._held, self._until, self._limit = answered.held, answered.until, limit
        self._raw: Any = answered.response.raw
        self._sent_in_haste = earliest(self._until) is not None
        self._reads = False
        self._is_over = False

    def watch(self) -> None:
        raw = self._raw
        if not isinstance(raw, BaseHTTPResponse) or raw.closed:
            self._held.leave()
            return
        self._held.rest()
        self._stream = raw.stream
        self._put("stream", self.stream)
        for name in ("read", "read1"):
            if hasattr(raw, name):
                self._put(name, functools.partial(self._waiting, getattr(raw, name)))
        for name in ("close", "release_conn"):
            self._put(name, functools.partial(self._ending, getattr(raw, name)))

    def _put(self, name: str, method: Callable[..., object]) -> None:
        setattr(self._raw, name, method)

    def stream(
        self, amt: int | None = _CHUNK, decode_content: bool | None = None
    ) -> Iterator[bytes]:
        hurries = earliest(self._until) is not None and not self._raw.chunked
        make = self._as_it_comes if hurries else self._stream
        chunks = make(amt, decode_content)
        while True:
            chunk = self._waiting(next, chunks, None)
            if chunk is None:
                self._held.leave()
                return
            yield chunk

    def _as_it_comes(self, amt: int | None, decode_content: bool | None) -> Iterator[bytes]:
        """urllib3's `stream` waits for a whole `amt`, however slowly it drips."""
        while True:
            data = self._raw.read1(amt, decode_content)
            if data:
                yield data
            elif self._raw.isclosed():
                return

    def _waiting(self, read: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Read, where the time goes to the host's account. Reads call each other."""
        if self._reads:
            return read(*args, **kwargs)
        until = earliest(self._until)
        if _is_past(until):
            # It was the reader who took so long.
            self._held.leave(NothingLearnt())
            raise _late(until)
        self._wait_within(until)
        self._held.resume()
        self._reads = True
        try:
            data = read(*args, **kwargs)
            if _is_past(until):
                raise _late(until)
        except BaseException as error:
            is_late = isinstance(error, ReadTimeoutError) and _is_past(until)
            told = _late(until) if is_late else error
            self._held.leave(_outcome(told))
            if told is error:
                raise
            raise told from error
        finally:
            self._reads = False
        self._held.rest()
        if self._is_over:
            self._held.leave()
        return data

    def _ending(self, end: Callable[[], None]) -> None:
        # A read that breaks ends the connection too, before it raises.
        self._is_over = True
        try:
            end()
        finally:
            if not self._reads:
                self._held.leave()

    def _wait_within(self, until: Deadline | None) -> None:
        """A socket keeps the limit that it was sent with: let it wait as long as the client does,
        and no longer than is left."""
        sock = _socket(self._raw)
        if sock is not None and (until is not None or self._sent_in_haste):
            left = None if until is None else until.remaining()
            sock.settimeout(shortest(self._limit, left))


def _late(until: Deadline | None) -> DeadlinePassed:
    assert until is not None
    return DeadlinePassed(until.budget)


def _is_past(until: Deadline | None) -> bool:
    return until is not None and until.remaining() <= 0


def _dismiss(response: requests.Response) -> None:
    sock = _socket(response.raw)
    try:
        if sock is not None and is_soon_read(response):
            sock.settimeout(DRAIN_S)
            response.raw.drain_conn()
    finally:
        response.close()


def _socket(raw: Any) -> Any:
    """The socket that a body comes from; None where it has come."""
    return getattr(getattr(raw, "_connection", None), "sock", None)


def _host(request: requests.PreparedRequest) -> str:
    parts = urlsplit(request.url or "")
    return host_name(str(parts.scheme), str(parts.hostname or ""), parts.port)


def _position(request: requests.PreparedRequest) -> object:
    """Where a file that is the body began; None where it is none that can be wound back."""
    return getattr(request, "_body_position", None)


def _may_repeat(request: requests.PreparedRequest) -> bool:
    # A body that is made while it is sent can be sent once.
    body = request.body
    return body is None or isinstance(body, bytes | str) or isinstance(_position(request), int)


def _limits(timeout: Any) -> tuple[float | None, float | None]:
    """Seconds to connect and to read, out of the forms that requests takes."""
    if isinstance(timeout, Timeout):
        started = timeout.clone()
        started.start_connect()
        both: Any = (started.connect_timeout, started.read_timeout)
    else:
        both = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    # urllib3 has an object of its own for what was left out.
    connect, read = (each if isinstance(each, int | float) else None for each in both)
    return connect, read


def _bounded(timeout: Any) -> Any:
    """The client's limit to connect and to read, neither longer than what a deadline leaves."""
    left = remaining()
    if left is None:
        return timeout
    connect, read = _limits(timeout)
    return shortest(connect, left), shortest(read, left)


def _named(error: requests.Timeout) -> requests.Timeout:
    """The error, or, where the client gave up because the deadline passed, that."""
    deadline = current_deadline()
    if deadline is None or deadline.remaining() > 0:
        return error
    return DeadlinePassed(deadline.budget)


def _is_worth(error: Exception) -> bool:
    return isinstance(
        error,
        requests.ConnectionError | requests.Timeout | requests.exceptions.ChunkedEncodingError,
    )


def _outcome(error: BaseException) -> BaseException:
    if isinstance(error, _OUR_OWN):
        return NothingLearnt()
    timeouts = (requests.Timeout, ReadTimeoutError)
    return (
        CallTimeout()
        if isinstance(error, timeouts) and not isinstance(error, CallTimeout)
        else error
    )


_CLIENT: Final = Client(_is_worth, _outcome, DeadlinePassed)
