"""Which fields of a policy belong to the circuit, and which to a call's options."""

from __future__ import annotations

from typing import Final

from breakers.circuit.policy import FIELDS

# Fields that calls obey only where they are made with `CallOptions` that hold the breaker.
CALL_FIELDS: Final = frozenset(
    {
        *("timeout", "deadline", "hedge_delay", "bulkhead_size", "rate_limit"),
        *("retries", "retry_delay", "retry_delay_max", "retry_jitter", "retry_budget"),
    }
)
CIRCUIT_FIELDS: Final = tuple(name for name in FIELDS if name not in CALL_FIELDS)
