"""What all HTTP clients share: which calls may be repeated, which answers are failures."""

from __future__ import annotations

from collections.abc import Container
from typing import Any, Final, Protocol

# RFC 9110, 9.2.2.
IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
# Bodies without an end of their own: nobody can wait for it to judge the call.
_ENDLESS: Final = ("text/event-stream", "multipart/x-mixed-replace")
_SMALL: Final = 16_384
# What reading an unwanted body may cost; a new connection costs about as much.
DRAIN_S: Final = 0.25


class Answer(Protocol):
    """What is read of a response."""

    @property
    def status_code(self) -> int: ...

    @property
    def headers(self) -> Any: ...


class Request(Protocol):
    """What is read of a request."""

    @property
    def method(self) -> Any: ...

    @property
    def headers(self) -> Any: ...


class FailedResponse(Exception):
    """A breaker is told this of a response whose status is a failure; the client gets the response.

    >>> from types import SimpleNamespace
    >>> str(FailedResponse(SimpleNamespace(status_code=503)))
    'answered 503'
    """

    @property
    def response(self) -> Any:
        """The client's response."""
        return self.args[0]

    def __str__(self) -> str:
        return f"answered {self.response.status_code}"


def failed(response: Answer) -> bool:
    """Whether the host is to blame: 5xx and 429.

    >>> from types import SimpleNamespace
    >>> [failed(SimpleNamespace(status_code=status)) for status in (200, 404, 429, 500)]
    [False, False, True, True]
    """
    return response.status_code >= 500 or response.status_code == 429


def repeatable(method: str, headers: Container[str]) -> bool:
    """Whether a request may be made again without being asked for: its method is idempotent, or an
    Idempotency-Key lets the server see that it is the same.

    >>> repeatable("GET", {}), repeatable("POST", {}), repeatable("POST", {"Idempotency-Key": "7"})
    (True, False, True)
    """
    return method.upper() in IDEMPOTENT or "Idempotency-Key" in headers


def safe(request: Request) -> bool:
    """Whether a request may be made again where nothing else was said."""
    return repeatable(str(request.method), request.headers)


def is_endless(response: Answer) -> bool:
    """Whether the body is a stream of events."""
    return str(response.headers.get("Content-Type", "")).lower().startswith(_ENDLESS)


def is_soon_read(response: Answer) -> bool:
    """Whether to read a body that nobody wants, so that its connection can be used again.

    >>> from types import SimpleNamespace
    >>> is_soon_read(SimpleNamespace(headers={"Content-Length": "120"}))
    True
    """
    length = str(response.headers.get("Content-Length", ""))
    return length.isascii() and length.isdigit() and int(length) <= _SMALL


def shortest(limit: float | None, left: float | None) -> float | None:
    """The client's own limit, or what a deadline leaves where that is less; seconds.

    >>> shortest(5.0, 2.0), shortest(None, 2.0), shortest(5.0, None)
    (2.0, 2.0, 5.0)
    """
    if left is None:
        return limit
    return left if limit is None else min(limit, left)
