"""Breakers for requests: an adapter for `requests.Session`.

    session = requests.Session()
    session.mount("https://", ResilientAdapter(retries=3))

Each host has its own breaker. A call is recorded once, when its body ends: a host that sends its
headers and then stops counts as failed. Only safe requests are retried. `Retry-After` sets
the pause, and `remaining()` limits every step.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar, Unpack
from urllib.parse import urlsplit

from breakers.deadline import Deadline, current_deadline, remaining
from breakers.errors import CallTimeout
from breakers.integrations.carried import HEADERS, carries, outgoing
from breakers.integrations.http_attempts import (
    Client,
    Flow,
    GuardedResponse,
    HttpAttempts,
    Settings,
    earliest,
)
from breakers.integrations.http_rules import DRAIN_S, is_endless, is_soon_read, shortest
from breakers.integrations.missing_extra import missing_extra
from breakers.integrations.per_host import PerHost, host_name
from breakers.integrations.permits import NoOutcome

try:
    import requests
    from requests.adapters import BaseAdapter, HTTPAdapter
    from urllib3 import BaseHTTPResponse, Timeout
    from urllib3.exceptions import ReadTimeoutError
except ImportError as error:
    raise missing_extra("requests", error) from error

__all__ = ["DeadlinePassed", "PerHost", "ResilientAdapter"]

T = TypeVar("T")
_CHUNK: Final = 65536
# Errors of the client itself: the request was not sent.
_OUR_OWN: Final = (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)


class DeadlinePassed(CallTimeout, requests.Timeout):
    """The attempt or the call timed out. A subclass of both libraries' timeout errors.

    >>> str(DeadlinePassed(0.5))
    'no answer within 0.5 s'
    """

    def __init__(self, seconds: float) -> None:
        requests.Timeout.__init__(self, seconds)


class ResilientAdapter(BaseAdapter):
    """An adapter with breakers, retries and deadlines around another adapter.

    Args:
        adapter: the adapter that sends; `HTTPAdapter()` by default.
        settings: see `breakers.integrations.http_attempts.Settings`.

    Raises:
        PolicyError: naming the field, its value and what would be right.
    """

    def __init__(self, adapter: BaseAdapter | None = None, **settings: Unpack[Settings]) -> None:
        super().__init__()
        self._adapter = adapter or HTTPAdapter()
        self._attempts = HttpAttempts(_CLIENT, **settings)

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
            CircuitBreakerOpen: the breaker refused; the request was not sent.
            DeadlinePassed: the attempt or the call timed out.
            requests.RequestException: the error of the last attempt.
        """
        attempts = 0

        def send() -> requests.Response:
            nonlocal attempts
            attempts += 1
            if attempts > 1 and isinstance(_position(request), int):
                requests.utils.rewind_body(request)
            self._carry(request)
            try:
                return self._adapter.send(request, stream, _bounded(timeout), verify, cert, proxies)
            except requests.Timeout as error:
                raise _named(error) from error

        may_repeat = self._attempts.is_safe(request) and _may_repeat(request)
        guarded = self._attempts.run(_host(request), may_repeat, send, _dismiss)
        if is_endless(guarded.response):
            guarded.permit.leave()
        _Body(guarded, _limits(timeout)[1]).watch()
        return guarded.response

    def _carry(self, request: requests.PreparedRequest) -> None:
        """Set the headers of this attempt. Those of an earlier one, or of a request that was
        redirected here, are taken off."""
        if self._attempts.carry is False:
            return
        for name in HEADERS:
            request.headers.pop(name, None)
        if carries(self._attempts.carry, _host(request)):
            request.headers.update(outgoing())

    def close(self) -> None:
        """Close the adapter."""
        self._adapter.close()


class _Body:
    """Patches the methods of urllib3's response, so that the permit is held until the body ends.

    The response keeps its type, because some callers check it.
    """

    def __init__(self, guarded: GuardedResponse[requests.Response], limit: float | None) -> None:
        self._permit, self._until, self._limit = guarded.permit, guarded.until, limit
        self._raw: Any = guarded.response.raw
        self._was_limited = earliest(self._until) is not None
        self._is_reading = False
        self._is_over = False
        self._flow = Flow(guarded)
        self._patched: list[str] = []

    def watch(self) -> None:
        raw = self._raw
        if not isinstance(raw, BaseHTTPResponse) or raw.closed:
            self._permit.leave()
            return
        self._permit.answered()
        self._stream = raw.stream
        self._put("stream", self.stream)
        for name in ("read", "read1"):
            if hasattr(raw, name):
                self._put(name, functools.partial(self._waiting, getattr(raw, name)))
        for name in ("close", "release_conn"):
            self._put(name, functools.partial(self._ending, getattr(raw, name)))

    def _put(self, name: str, method: Callable[..., object]) -> None:
        setattr(self._raw, name, method)
        self._patched.append(name)

    def _restore(self) -> None:
        """Remove the patches, through which response and permit refer to each other."""
        while self._patched:
            with contextlib.suppress(AttributeError):
                delattr(self._raw, self._patched.pop())

    def stream(
        self, amt: int | None = _CHUNK, decode_content: bool | None = None
    ) -> Iterator[bytes]:
        is_limited = earliest(self._until) is not None and not self._raw.chunked
        make = self._by_arrival if is_limited else self._stream
        chunks = make(amt, decode_content)
        while True:
            chunk = self._waiting(next, chunks, None)
            if chunk is None:
                self._permit.leave()
                return
            yield chunk

    def _by_arrival(self, amt: int | None, decode_content: bool | None) -> Iterator[bytes]:
        """Yield data as it arrives. urllib3's `stream` waits for a whole `amt`."""
        while True:
            data = self._raw.read1(amt, decode_content)
            if data:
                yield data
            elif self._raw.isclosed():
                return

    def _waiting(self, read: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Read, and count the time as the host's latency. Read methods may call each other."""
        if self._is_reading:
            return read(*args, **kwargs)
        until = earliest(self._until)
        if _is_past(until):
            # The reader used up the time, not the host.
            self._permit.leave(NoOutcome())
            raise _late(until)
        self._wait_within(until)
        self._permit.resume()
        self._is_reading = True
        try:
            data = read(*args, **kwargs)
            if _is_past(until):
                raise _late(until)
        except BaseException as error:
            is_late = isinstance(error, ReadTimeoutError) and _is_past(until)
            recorded = _late(until) if is_late else error
            self._permit.leave(_outcome(recorded))
            if recorded is error:
                raise
            try:
                raise recorded from error
            finally:
                # This frame is part of its traceback.
                del recorded
        finally:
            self._is_reading = False
        self._permit.rest()
        if data:
            self._flow.arrived()
        if self._is_over:
            self._permit.leave()
        return data

    def _ending(self, end: Callable[[], None]) -> None:
        # A read that fails closes the connection before it raises.
        self._is_over = True
        try:
            end()
        finally:
            if not self._is_reading:
                self._permit.leave()
                self._restore()

    def _wait_within(self, until: Deadline | None) -> None:
        """Update the socket's timeout, which is still the one from when the request was sent."""
        sock = _socket(self._raw)
        if sock is not None and (until is not None or self._was_limited):
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
    """The socket of a body, or None if the body is complete."""
    return getattr(getattr(raw, "_connection", None), "sock", None)


def _host(request: requests.PreparedRequest) -> str:
    parts = urlsplit(request.url or "")
    return host_name(str(parts.scheme), str(parts.hostname or ""), parts.port)


def _position(request: requests.PreparedRequest) -> object:
    """The start position of a file body; None if it cannot be rewound."""
    return getattr(request, "_body_position", None)


def _may_repeat(request: requests.PreparedRequest) -> bool:
    # A generated body can be sent only once.
    body = request.body
    return body is None or isinstance(body, bytes | str) or isinstance(_position(request), int)


def _limits(timeout: Any) -> tuple[float | None, float | None]:
    """The connect and read timeouts in seconds, from any form that requests accepts."""
    if isinstance(timeout, Timeout):
        started = timeout.clone()
        started.start_connect()
        both: Any = (started.connect_timeout, started.read_timeout)
    else:
        both = timeout if isinstance(timeout, tuple) else (timeout, timeout)
    # urllib3 uses a marker object for a missing value.
    connect, read = (each if isinstance(each, int | float) else None for each in both)
    return connect, read


def _bounded(timeout: Any) -> Any:
    """The client's connect and read timeouts, capped at the time left."""
    left = remaining()
    if left is None:
        return timeout
    connect, read = _limits(timeout)
    return shortest(connect, left), shortest(read, left)


def _named(error: requests.Timeout) -> requests.Timeout:
    """The error, or `DeadlinePassed` if the client timed out because of the deadline."""
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
        return NoOutcome()
    timeouts = (requests.Timeout, ReadTimeoutError)
    return (
        CallTimeout()
        if isinstance(error, timeouts) and not isinstance(error, CallTimeout)
        else error
    )


_CLIENT: Final = Client(_is_worth, _outcome, DeadlinePassed)
