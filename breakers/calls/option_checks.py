"""Checks of `CallOptions`: the ranges of its fields, and which of its functions are async."""

from __future__ import annotations

from typing import Any, Final

from breakers.circuit.breaker import CircuitBreaker
from breakers.circuit.policy import FieldSpec
from breakers.common.rules import is_async
from breakers.errors import PolicyError
from breakers.limits.rate_limit import RateLimiter
from breakers.limits.retry_budget import RetryBudget
from breakers.limits.slots import Slots

_YEAR: Final = 31_536_000.0
SPECS: Final = (
    FieldSpec("cache_ttl", float, 300.0, "How long results are cached", "call", 0.001, _YEAR, "s"),
    FieldSpec(
        "stale_ttl", float, None, "How long after that a stale one", "call", 0.001, _YEAR, "s", True
    ),
    FieldSpec("negative_ttl", float, 10.0, "How long failures are kept", "call", 0.001, _YEAR, "s"),
    FieldSpec("hedge_attempts", int, 2, "Calls at once", "call", 2, 10),
)
POLICY_FIELDS: Final = (
    "timeout",
    "retries",
    "retry_delay",
    "retry_delay_max",
    "retry_jitter",
    "deadline",
    "hedge_delay",
)
PARTS: Final[dict[str, type]] = {
    "circuit_breaker": CircuitBreaker,
    "rate_limiter": RateLimiter,
    "bulkhead": Slots,
    "retry_budget": RetryBudget,
}
_FUNCTIONS: Final = (
    "retry_on_result",
    "retry_if",
    "retry_pause",
    "on_retry",
    "on_attempt",
    "on_call",
)


def check_functions(options: Any) -> None:
    """Check that what must be a function is one.

    Raises:
        PolicyError: naming the field.
    """
    for name in _FUNCTIONS:
        if getattr(options, name) is not None and not callable(getattr(options, name)):
            raise PolicyError(name, getattr(options, name), "a function, or None")
    key = options.cache_key
    if not (key is None or isinstance(key, str) or callable(key)):
        raise PolicyError("cache_key", key, "a text, a function, or None")


def async_fields(options: Any) -> list[str]:
    """The names of the rules and hooks that are coroutine functions, without fallbacks."""
    named = ("retry_on", "cache_key", *_FUNCTIONS)
    names = [name for name in named if _is_async(getattr(options, name))]
    for fallback in options.fallbacks:
        names += fallback.async_rules
    return names


def _is_async(value: object) -> bool:
    return not isinstance(value, str | tuple | type) and is_async(value)
