"""Lays an operator's policy over the options that code declares."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from breakers.calls.options import CallOptions
    from breakers.circuit.breaker import CircuitBreaker

_REPLACED = ("timeout", "retries", "retry_delay", "retry_delay_max", "retry_jitter", "deadline")


def with_policy(options: CallOptions, breaker: CircuitBreaker) -> CallOptions:
    """The options with the fields that the policy sets, or switches off.

    The result is kept beside the options until the policy changes.
    """
    remote = breaker._remote
    if not remote:
        return options
    kept = options.__dict__.get("_with_policy")
    if kept is not None and kept[0] is remote:
        found: CallOptions = kept[1]
        return found
    laid = copy(options)
    laid.__dict__.pop("_with_policy", None)
    policy = breaker.policy
    for name in _REPLACED:
        if name in remote:
            laid._set(name, getattr(policy, name))
    if "retry_delay" in remote and "retry_delay_max" not in remote:
        laid._set("retry_delay_max", max(laid.retry_delay_max, laid.retry_delay))
    if "hedge_delay" in remote and options.hedge_delay is not None:
        # A policy cannot ask for hedging: only code knows whether a call may be made twice.
        laid._set("hedge_delay", policy.hedge_delay)
    limits = breaker.policy_limits
    if "retry_budget" in remote:
        ratio = policy.retry_budget
        laid._set("budget", None if ratio is None else limits.budget(ratio))
    if "bulkhead_size" in remote:
        size = policy.bulkhead_size
        wait = 0.0 if options.bulkhead is None else options.bulkhead.max_wait
        laid._set("bulkhead", None if size is None else limits.bulkhead(size, wait))
    if "rate_limit" in remote:
        rate = policy.rate_limit
        wait = 0.0 if options.rate_limiter is None else options.rate_limiter.max_wait
        laid._set("rate_limiter", None if rate is None else limits.limiter(rate, wait))
    laid._compile()
    options.__dict__["_with_policy"] = (remote, laid)
    return laid
