"""Backoff between attempts, and the `Retry-After` header."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any, Final

from breakers.clock import SYSTEM_CLOCK
from breakers.common.exception_groups import leaves

# A longer header is no date and no number of seconds.
_HEADER_LENGTH_MAX: Final = 100


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


def retry_after(answer: object) -> float | None:
    """The pause that the callee asked for, by an error or by a result that is not good enough.

    It is the `retry_after` attribute (seconds or a timedelta), or the Retry-After header of an HTTP
    response, or of an error that carries one. The longest of a group counts. None if there is none,
    or if it cannot be read.
    """
    if isinstance(answer, BaseExceptionGroup):
        pauses = [pause for each in leaves(answer) if (pause := retry_after(each)) is not None]
        return max(pauses, default=None)
    try:
        asked: Any = getattr(answer, "retry_after", None)
        if asked is None or callable(asked):
            response: Any = getattr(answer, "response", answer)
            asked = response.headers.get("Retry-After")
        seconds = None if asked is None else _seconds(asked)
    except Exception:
        # Whatever a server or a library puts there must not break the loop of retries.
        return None
    return None if seconds is None or seconds != seconds else max(0.0, seconds)


def _seconds(asked: Any) -> float:
    if isinstance(asked, timedelta):
        return asked.total_seconds()
    if isinstance(asked, bool):
        raise ValueError("no number of seconds")
    if isinstance(asked, int | float):
        return float(asked)
    text = str(asked, "latin-1") if isinstance(asked, bytes) else str(asked)
    if len(text) > _HEADER_LENGTH_MAX or "_" in text:
        raise ValueError("no number of seconds")
    try:
        return float(text)
    except ValueError:
        # The header may also be a date. It is the one place where the wall clock is right.
        date = parsedate_to_datetime(text)
    # A date without a zone is in UTC, as all dates of HTTP are.
    at = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
    return at.timestamp() - SYSTEM_CLOCK.wall()


def checked_pause(pause: object) -> float:
    """A pause that a function of the user's chose.

    Raises:
        TypeError: it is no number of seconds from 0.
    """
    if isinstance(pause, bool) or not isinstance(pause, int | float):
        raise TypeError(f"retry_pause returned {pause!r}; it must be a number of seconds from 0")
    if not isfinite(pause) or pause < 0:
        raise TypeError(f"retry_pause returned {pause!r}; it must be a number of seconds from 0")
    return float(pause)
