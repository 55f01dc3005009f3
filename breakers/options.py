"""What one kind of call asks for. Frozen: made once, shared by every call of the kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from breakers.breaker import CircuitBreaker
from breakers.errors import PolicyError
from breakers.policy import FIELDS
from breakers.timeouts import STRATEGIES, Strategy

Fallback = Callable[..., Any]


@dataclass(frozen=True)
class CallOptions:
    """How to make a call.

    Args:
        timeout: seconds one attempt may take; None for no bound of its own.
        retries: attempts in all; 1 means no retry.
        retry_delay: seconds of backoff before the second attempt; doubles after, with full jitter.
        circuit_breaker: asked before each attempt; its operator's policy replaces the three above.
        fallback: a function of the call's arguments that answers in its place, or several, tried
            in turn.
        cache_key: where successful answers are kept; None for nowhere.
        cache_ttl: for how many seconds they are kept.
        deadline: seconds for the whole call, attempts and sleeps included.
        retry_on: the errors worth another attempt.
        strategy: how a sync call is bounded, see `breakers.timeouts`.

    Raises:
        PolicyError: naming the field, its value and what would be right.

    >>> CallOptions(timeout=2.0, retries=2).retry_delay
    0.5
    >>> CallOptions(timeout=-1)
    Traceback (most recent call last):
      ...
    breakers.errors.PolicyError: timeout is -1; it must be a number from 0.001 to 3600 s, or None \
to switch it off
    """

    timeout: float | None
    retries: int = 3
    retry_delay: float = 0.5
    circuit_breaker: CircuitBreaker | None = None
    fallback: Fallback | Sequence[Fallback] | None = None
    cache_key: str | None = None
    cache_ttl: float = 300
    deadline: float | None = None
    retry_on: type[Exception] | tuple[type[Exception], ...] = Exception
    strategy: Strategy = "auto"

    def __post_init__(self) -> None:
        for name in ("timeout", "retries", "retry_delay"):
            FIELDS[name].check(getattr(self, name))
        if not 0 < self.cache_ttl <= 31_536_000:
            raise PolicyError("cache_ttl", self.cache_ttl, "above 0 and at most a year, in seconds")
        if self.deadline is not None and not 0 < self.deadline <= 86_400:
            raise PolicyError("deadline", self.deadline, "above 0 and at most a day, in seconds")
        if self.strategy not in STRATEGIES:
            raise PolicyError("strategy", self.strategy, "one of " + ", ".join(STRATEGIES))
        fallbacks = self.fallbacks
        for each in fallbacks:
            if not callable(each):
                raise PolicyError("fallback", each, "a function, or several")
        if self.circuit_breaker is not None:
            self.circuit_breaker.declare(
                timeout=self.timeout, retries=self.retries, retry_delay=self.retry_delay
            )

    @property
    def fallbacks(self) -> Sequence[Fallback]:
        """The fallbacks in the order they are tried."""
        if self.fallback is None:
            return ()
        return (self.fallback,) if callable(self.fallback) else self.fallback

    def in_force(self) -> tuple[float | None, int, float]:
        """Timeout, attempts and retry delay, an operator's policy before what is declared here."""
        breaker = self.circuit_breaker
        if breaker is None or not breaker.remote:
            return self.timeout, self.retries, self.retry_delay
        policy, remote = breaker.policy, breaker.remote
        return (
            policy.timeout if "timeout" in remote else self.timeout,
            policy.retries if "retries" in remote else self.retries,
            policy.retry_delay if "retry_delay" in remote else self.retry_delay,
        )
