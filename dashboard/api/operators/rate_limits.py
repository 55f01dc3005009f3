"""Limits on requests a minute: of a person or token, and of an address that is not authenticated.

Counts are kept in Django's cache, which all web processes share in production. When the cache
fails, requests are let through: the limit protects the database, not the other way round.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Final

from django.core.cache import cache
from django.http import HttpResponse

from dashboard.api.operators.problems import ApiError
from dashboard.observability.metrics import counters

logger = logging.getLogger("switchgear.api")
WINDOW_S: Final = 60


@dataclass(frozen=True)
class Allowance:
    """What is left of a limit in this window."""

    limit: int
    remaining: int
    reset_s: int

    def add_headers(self, response: HttpResponse) -> None:
        """Add the headers of draft-ietf-httpapi-ratelimit-headers."""
        response["RateLimit-Policy"] = f'"default";q={self.limit};w={WINDOW_S}'
        response["RateLimit"] = f'"default";r={self.remaining};t={self.reset_s}'


def spend(key: str, limit: int) -> Allowance:
    """Count one request.

    Raises:
        ApiError: 429 with Retry-After when the limit is used up.
    """
    now = time.time()
    window = int(now // WINDOW_S)
    reset_s = int((window + 1) * WINDOW_S - now) + 1
    name = f"rate:{key}:{window}"
    try:
        cache.add(name, 0, WINDOW_S * 2)
        used = int(cache.incr(name))
    except ValueError:  # evicted between the two calls
        used = 1
    except Exception:
        logger.warning("the rate limit could not be counted", exc_info=True)
        used = 1
    counters.api_requests += 1
    allowance = Allowance(limit, max(0, limit - used), reset_s)
    if used > limit:
        counters.api_limited += 1
        error = ApiError(
            429, "rate_limited", f"More than {limit} requests a minute; wait {reset_s} s.",
            headers={"Retry-After": str(reset_s)},
        )  # fmt: skip
        error.headers |= {
            "RateLimit-Policy": f'"default";q={limit};w={WINDOW_S}',
            "RateLimit": f'"default";r=0;t={reset_s}',
        }
        raise error
    return allowance
