"""Switchgear's library: timeouts, retries, circuit breakers, fallbacks, cache; sync and async.

Everything here needs the standard library alone. `breakers.agent` reports to a dashboard and obeys
it; it needs the `agent` extra.
"""

from breakers.adaptive import AdaptiveLimit
from breakers.backends import Metrics
from breakers.breaker import CircuitBreaker
from breakers.bulkhead import Bulkhead
from breakers.caching import Cache, TTLCache
from breakers.calls import ResilientCaller, resilient
from breakers.deadline import Deadline, current_deadline, remaining
from breakers.errors import (
    BreakerError,
    BulkheadFull,
    CachedFailure,
    CallTimeout,
    CircuitBreakerOpen,
    CircuitForcedOpen,
    IsolationExhausted,
    PolicyError,
    RateLimited,
    RegistryFull,
)
from breakers.gathering import Gathered, agather, gather
from breakers.hedging import hedged
from breakers.options import CallOptions, FallbackValue
from breakers.policy import Policy
from breakers.ratelimit import RateLimiter
from breakers.records import Snapshot, TransitionRecord
from breakers.registry import Registry, registry
from breakers.retries import RetryAttempt, RetryBudget
from breakers.states import State
from breakers.timeouts import timeout

__all__ = [
    "AdaptiveLimit",
    "BreakerError",
    "Bulkhead",
    "BulkheadFull",
    "Cache",
    "CachedFailure",
    "CallOptions",
    "CallTimeout",
    "CircuitBreaker",
    "CircuitBreakerOpen",
    "CircuitForcedOpen",
    "Deadline",
    "FallbackValue",
    "Gathered",
    "IsolationExhausted",
    "Metrics",
    "Policy",
    "PolicyError",
    "RateLimited",
    "RateLimiter",
    "Registry",
    "RegistryFull",
    "ResilientCaller",
    "RetryAttempt",
    "RetryBudget",
    "Snapshot",
    "State",
    "TTLCache",
    "TransitionRecord",
    "agather",
    "current_deadline",
    "gather",
    "hedged",
    "registry",
    "remaining",
    "resilient",
    "timeout",
]
