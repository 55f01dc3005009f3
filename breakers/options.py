"""What one kind of call asks for. Frozen: made once, shared by every call of the kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from breakers.breaker import CircuitBreaker
from breakers.errors import PolicyError
from breakers.policy import FIELDS, FieldSpec
from breakers.timeouts import STRATEGIES, Strategy

Fallback = Callable[..., Any]

_YEAR: Final = 31_536_000.0
_CACHE_TTL: Final = FieldSpec(
    "cache_ttl", float, 300.0, "How long answers are kept", "call", 0.001, _YEAR, "s"
)
_DEADLINE: Final = FieldSpec(
    "deadline", float, None, "Time for the whole call", "call", 0.001, 86_400.0, "s", True
)


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
            object.__setattr__(self, name, FIELDS[name].check(getattr(self, name)))
        _CACHE_TTL.check(self.cache_ttl)
        _DEADLINE.check(self.deadline)
        if self.strategy not in STRATEGIES:
            raise PolicyError("strategy", self.strategy, "one of " + ", ".join(STRATEGIES))
        for each in self.fallbacks or (None,) * (self.fallback is not None):
            if not callable(each):
                raise PolicyError("fallback", self.fallback, "a function, or several")
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
        if breaker is None or not breaker._remote:
            return self.timeout, self.retries, self.retry_delay
        policy, remote = breaker.policy, breaker.remote
        return (
            policy.timeout if "timeout" in remote else self.timeout,
            policy.retries if "retries" in remote else self.retries,
            policy.retry_delay if "retry_delay" in remote else self.retry_delay,
        )
