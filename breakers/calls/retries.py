"""Backoff between attempts, and the `Retry-After` header."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from breakers.clock import SYSTEM_CLOCK


def full_jitter(
    attempt: int,
    delay: float,
    cap: float = 60.0,
    uniform: Callable[[], float] = random.random,
    jitter: float = 1.0,
) -> float:
    """Seconds to wait after the failed attempt number `attempt` (from 1).

    The exponential backoff less a random share of up to `jitter`. With 1 it lies anywhere between 0
    and the backoff: "full jitter" of Marc Brooker, Exponential Backoff And Jitter, AWS Architecture
    Blog, 2015.

    >>> full_jitter(3, 0.5, uniform=lambda: 1.0)
    2.0
    >>> full_jitter(3, 0.5, uniform=lambda: 0.0, jitter=0.25)
    1.5
    """
    backoff = min(cap, delay * 2.0 ** (attempt - 1))
    return backoff * (1.0 - jitter * (1.0 - uniform()))


@dataclass(frozen=True, slots=True)
class RetryAttempt:
    """What a hook is told before the pause that precedes another attempt.

    `attempt` of `attempts` has just ended, with `error`, or with a `result` that is not good
    enough; the next begins in `pause_s` seconds.

    >>> from breakers import CallOptions, ResilientCaller
    >>> def told(retry: RetryAttempt) -> None:
    ...     print(f"{retry.attempt} of {retry.attempts} failed: {retry.error!r}")
    >>> options = CallOptions(
    ...     timeout=None, retries=2, retry_delay=0.0, on_retry=told, fallback=lambda text: 0
    ... )
    >>> ResilientCaller().call(float, options, "none")
    1 of 2 failed: ValueError("could not convert string to float: 'none'")
    0
    """

    attempt: int
    attempts: int
    error: Exception | None
    result: Any
    pause_s: float


def retry_after(answer: object) -> float | None:
    """What the callee asked for, by an error or by an answer that is not good enough: its
    `retry_after` in seconds, or the Retry-After header of an HTTP response, or of an error that
    carries one. None where it did not say."""
    said: Any = getattr(answer, "retry_after", None)
    try:
        if said is None:
            response: Any = getattr(answer, "response", answer)
            said = response.headers.get("Retry-After")
        return None if said is None else max(0.0, _seconds(said))
    except (AttributeError, TypeError, ValueError):
        return None


def _seconds(said: Any) -> float:
    try:
        return float(said)
    except ValueError:
        # The header may also be a date; that is the one place where a wall clock is right.
        date = parsedate_to_datetime(said)
    # One without a zone is of Greenwich, as all dates of HTTP are.
    at = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
    return at.timestamp() - SYSTEM_CLOCK.wall()
