"""Switchgear's library: timeouts, retries, circuit breakers, fallbacks, cache; sync and async.

Everything here needs the standard library alone. `breakers.agent` reports to a dashboard and obeys
it; it needs the `agent` extra.
"""

from breakers.calls.backends import Metrics
from breakers.calls.cache import Cache, TTLCache
from breakers.calls.caller import ResilientCaller
from breakers.calls.decorator import resilient
from breakers.calls.fallbacks import Fallback, FallbackValue
from breakers.calls.gathering import Gathered, agather, gather
from breakers.calls.hedging import hedged
from breakers.calls.options import CallOptions
from breakers.calls.records import CallRecord, RetryAttempt
from breakers.calls.thread_timeouts import timeout
from breakers.circuit import async_rules as _async_rules  # noqa: F401 - registers itself
from breakers.circuit.breaker import CircuitBreaker
from breakers.circuit.policy import Policy
from breakers.circuit.records import RecordedCall, Snapshot, TransitionRecord
from breakers.circuit.registry import Registry, registry
from breakers.circuit.states import State
from breakers.criticality import Criticality, criticality, current_criticality
from breakers.deadline import Deadline, current_deadline, no_deadline, remaining
from breakers.errors import (
    BreakerError,
    BulkheadFull,
    CachedFailure,
    CallInterrupted,
    CallShed,
    CallTimeout,
    CircuitBreakerOpen,
    CircuitForcedOpen,
    InjectedFault,
    IsolationExhausted,
    PolicyError,
    RateLimited,
    RegistryFull,
)
from breakers.limits.adaptive_limit import AdaptiveLimit
from breakers.limits.bulkhead import Bulkhead
from breakers.limits.rate_limit import RateLimiter
from breakers.limits.retry_budget import RetryBudget

__all__ = [
    "AdaptiveLimit",
    "BreakerError",
    "Bulkhead",
    "BulkheadFull",
    "Cache",
    "CachedFailure",
    "CallInterrupted",
    "CallOptions",
    "CallRecord",
    "CallShed",
    "CallTimeout",
    "CircuitBreaker",
    "CircuitBreakerOpen",
    "CircuitForcedOpen",
    "Criticality",
    "Deadline",
    "Fallback",
    "FallbackValue",
    "Gathered",
    "InjectedFault",
    "IsolationExhausted",
    "Metrics",
    "Policy",
    "PolicyError",
    "RateLimited",
    "RateLimiter",
    "RecordedCall",
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
    "criticality",
    "current_criticality",
    "current_deadline",
    "gather",
    "hedged",
    "no_deadline",
    "registry",
    "remaining",
    "resilient",
    "timeout",
]
