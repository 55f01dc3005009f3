"""Switchgear's library: timeouts, retries, circuit breakers, fallbacks, cache; sync and async.

Everything here needs the standard library alone. `breakers.agent` reports to a dashboard and obeys
it; it needs the `agent` extra.
"""

from breakers.breaker import CircuitBreaker
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
    RegistryFull,
)
from breakers.options import CallOptions
from breakers.policy import Policy
from breakers.records import Snapshot, TransitionRecord
from breakers.registry import Registry, registry
from breakers.retries import RetryBudget
from breakers.states import State
from breakers.timeouts import timeout

__all__ = [
    "BreakerError",
    "BulkheadFull",
    "Cache",
    "CallOptions",
    "CallTimeout",
    "CircuitBreaker",
    "CircuitBreakerOpen",
    "CircuitForcedOpen",
    "Deadline",
    "IsolationExhausted",
    "Metrics",
    "Policy",
    "PolicyError",
    "Registry",
    "RegistryFull",
    "ResilientCaller",
    "RetryBudget",
    "Snapshot",
    "State",
    "TTLCache",
    "TransitionRecord",
    "current_deadline",
    "registry",
    "remaining",
    "timeout",
]
