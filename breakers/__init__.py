"""Switchgear's library: timeouts, retries, circuit breakers, fallbacks, cache; sync and async.

Everything here needs the standard library alone. `breakers.agent` reports to a dashboard and obeys
it; it needs the `agent` extra.
"""

from breakers.adaptive import AdaptiveLimit
from breakers.breaker import CircuitBreaker
from breakers.bulkhead import Bulkhead
from breakers.caching import Cache, TTLCache
from breakers.calls import Metrics, ResilientCaller
from breakers.deadline import Deadline, current_deadline, remaining
from breakers.errors import (
    BreakerError,
    BulkheadFull,
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
from breakers.options import CallOptions
from breakers.policy import Policy
from breakers.ratelimit import RateLimiter
from breakers.records import Snapshot, TransitionRecord
from breakers.registry import Registry, registry
from breakers.retries import RetryBudget
from breakers.states import State
from breakers.timeouts import timeout

__all__ = [
    "AdaptiveLimit",
    "BreakerError",
    "Bulkhead",
    "BulkheadFull",
    "Cache",
    "CallOptions",
    "CallTimeout",
    "CircuitBreaker",
    "CircuitBreakerOpen",
    "CircuitForcedOpen",
    "Deadline",
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
    "timeout",
]
