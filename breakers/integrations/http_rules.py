"""Rules shared by the HTTP integrations: safe requests, failed responses, endless bodies."""

from __future__ import annotations

from collections.abc import Container
from typing import Any, Final, Protocol

# RFC 9110, 9.2.2.
IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
# Media types of bodies without an end.
_ENDLESS: Final = (
    "text/event-stream",
    "multipart/x-mixed-replace",
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
    "application/json-seq",
    "application/stream+json",
)
# A parameter of Kubernetes' watches.
_WATCH: Final = "stream=watch"
# A body without a length counts as a success once so many chunks have come, or once a chunk comes
# so many seconds after the headers.
FLOWS_AFTER_CHUNKS: Final = 10
FLOWS_AFTER_S: Final = 1.0
_SMALL: Final = 16_384
# Time limit for draining an unwanted body; a new connection costs about as much.
DRAIN_S: Final = 0.25


class Answer(Protocol):
    """The attributes of a response that the rules read."""

    @property
    def status_code(self) -> int: ...

    @property
    def headers(self) -> Any: ...


class Request(Protocol):
    """The attributes of a request that the rules read."""

    @property
    def method(self) -> Any: ...

    @property
    def headers(self) -> Any: ...


class FailedResponse(Exception):
    """Recorded by a breaker for a response that is a failure. The client gets the response itself.

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
    """Whether a response is a failure of the host: 5xx and 429.

    >>> from types import SimpleNamespace
    >>> [failed(SimpleNamespace(status_code=status)) for status in (200, 404, 429, 500)]
    [False, False, True, True]
    """
    return response.status_code >= 500 or response.status_code == 429


def repeatable(method: str, headers: Container[str]) -> bool:
    """Whether a request may be repeated: its method is idempotent or it has an Idempotency-Key.

    >>> repeatable("GET", {}), repeatable("POST", {}), repeatable("POST", {"Idempotency-Key": "7"})
    (True, False, True)
    """
    return method.upper() in IDEMPOTENT or "Idempotency-Key" in headers


def safe(request: Request) -> bool:
    """The default of `is_safe`."""
    return repeatable(str(request.method), request.headers)


def is_endless(response: Answer) -> bool:
    """Whether the body is a stream of events, lines or parts without an end."""
    kind = str(response.headers.get("Content-Type", "")).lower()
    return kind.startswith(_ENDLESS) or _WATCH in kind


def has_length(response: Answer) -> bool:
    """Whether the end of the body is known from its headers."""
    return "Content-Length" in response.headers


def is_soon_read(response: Answer) -> bool:
    """Whether to drain an unwanted body, so that its connection can be reused.

    >>> from types import SimpleNamespace
    >>> is_soon_read(SimpleNamespace(headers={"Content-Length": "120"}))
    True
    """
    length = str(response.headers.get("Content-Length", ""))
    return length.isascii() and length.isdigit() and int(length) <= _SMALL


def shortest(limit: float | None, left: float | None) -> float | None:
    """The smaller of the client's own limit and the time left, in seconds.

    >>> shortest(5.0, 2.0), shortest(None, 2.0), shortest(5.0, None)
    (2.0, 2.0, 5.0)
    """
    if left is None:
        return limit
    return left if limit is None else min(limit, left)
