"""The rules by which a window opens a breaker, and how long it stays open."""

from __future__ import annotations

from breakers.circuit.policy import Policy
from breakers.circuit.windows import Window
from breakers.common.uninterruptible import uninterruptible


@uninterruptible
def reason_to_trip(policy: Policy, window: Window, consecutive: int) -> str:
    """Why the window opens the breaker, in words; empty where it does not."""
    if policy.failure_threshold is not None and consecutive >= policy.failure_threshold:
        return f"{consecutive} failures in a row"
    if window.calls < policy.enough_calls or not window.calls:
        return ""
    if (limit := policy.failure_rate_threshold) is not None:
        rate = window.failures / window.calls
        if rate >= limit:
            return f"{rate:.0%} of {window.calls} calls failed"
    if (limit := policy.slow_call_rate_threshold) is not None:
        rate = window.slow / window.calls
        if rate >= limit:
            return f"{rate:.0%} of {window.calls} calls were slow"
    return ""


@uninterruptible
def open_duration(policy: Policy, trips: int, draw: float) -> float:
    """Seconds to stay open after so many trips before this one: `timeout_duration`, grown with each
    of them up to `open_duration_max`, less a random share. `draw` is between 0 and 1."""
    grown = policy.timeout_duration * policy.open_backoff_factor ** min(trips, 64)
    longest = max(policy.timeout_duration, policy.open_duration_max)
    return min(grown, longest) * (1.0 - policy.open_jitter * draw)
