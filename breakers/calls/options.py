"""What one kind of call asks for. Frozen: made once, shared by every call of the kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from breakers.calls.retries import RetryAttempt
from breakers.calls.thread_timeouts import STRATEGIES, Strategy
from breakers.circuit.breaker import CircuitBreaker
from breakers.circuit.outcomes import ErrorMap, ErrorRule, error_map, error_rule
from breakers.circuit.policy import FIELDS, FieldSpec
from breakers.errors import PolicyError
from breakers.limits.rate_limit import RateLimiter
from breakers.limits.retry_budget import RetryBudget
from breakers.limits.slots import Slots

Fallback = Callable[..., Any]

_YEAR: Final = 31_536_000.0
_HOUR: Final = 3600.0
_SPECS: Final = (
    FieldSpec("cache_ttl", float, 300.0, "How long answers are kept", "call", 0.001, _YEAR, "s"),
    FieldSpec(
        "stale_ttl", float, None, "How long after that a stale one", "call", 0.001, _YEAR, "s", True
    ),
    FieldSpec("negative_ttl", float, 10.0, "How long failures are kept", "call", 0.001, _YEAR, "s"),
    FieldSpec("hedge_attempts", int, 2, "Attempts side by side", "call", 2, 10),
)
_POLICY_FIELDS: Final = (
    "timeout",
    "retries",
    "retry_delay",
    "retry_delay_max",
    "retry_jitter",
    "deadline",
    "hedge_delay",
)
_PARTS: Final[dict[str, type]] = {
    "circuit_breaker": CircuitBreaker,
    "rate_limiter": RateLimiter,
    "bulkhead": Slots,
    "retry_budget": RetryBudget,
}


class FallbackValue:
    """A fallback that is always the same value; it is shared by all who get it.

    >>> FallbackValue(0)("any", arguments=True)
    0
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.value


@dataclass(frozen=True)
class CallOptions:
    """How to make a call.

    Args:
        timeout: seconds one attempt may take; None for no bound of its own.
        retries: attempts in all; 1 means no retry.
        retry_delay: seconds of backoff before the second attempt; doubles after, with full jitter.
        circuit_breaker: asked before each attempt; its operator's policy replaces what is here.
        fallback: a function of the call's arguments that answers in its place, or several, tried
            in turn.
        cache_key: where successful answers are kept, or a function of the call's arguments that
            says where; None for nowhere.
        cache_ttl: for how many seconds they are kept.
        stale_ttl: for how many seconds after that they still answer where the call fails.
        negative_on: errors that are an answer, such as "not found", and kept as one. They come
            back as their type made from their message.
        negative_ttl: for how many seconds those are kept.
        single_flight: of several who ask for the same key at once, one asks and all get its answer.
        deadline: seconds for the whole call, attempts and sleeps included.
        rate_limiter: asked for a turn before the call.
        bulkhead: a `Bulkhead` or an `AdaptiveLimit`, held by the call, its pauses included.
        retry_on: the errors worth another attempt: types, or a function of the error.
        retry_on_result: a function that says of an answer whether to try for a better one; the last
            attempt's is returned as it is.
        retry_delay_max: seconds that one pause may take at most.
        retry_jitter: the random share that may be taken off a pause; 1 is full jitter.
        retry_budget: what retries are drawn from; the breaker's own where there is one.
        on_retry: told of each retry, as a `RetryAttempt`, before its pause; its errors are logged.
        hedge_delay: for coroutines that may be made twice: seconds without an answer after which
            the attempt is made once more beside the first.
        hedge_attempts: how many run side by side at most.
        strategy: how a sync call is bounded, see `breakers.calls.thread_timeouts`.
        map_errors: which error the caller gets in the place of the one that the call ends with,
            refusals included, where nothing answers instead; as in `CircuitBreaker`.

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
    cache_key: str | Callable[..., str] | None = None
    cache_ttl: float = 300
    stale_ttl: float | None = None
    negative_on: tuple[type[Exception], ...] = ()
    negative_ttl: float = 10.0
    single_flight: bool = True
    deadline: float | None = None
    rate_limiter: RateLimiter | None = None
    bulkhead: Slots | None = None
    retry_on: ErrorRule = Exception
    retry_on_result: Callable[[Any], bool] | None = None
    retry_delay_max: float = 60.0
    retry_budget: RetryBudget | None = None
    on_retry: Callable[[RetryAttempt], object] | None = None
    hedge_delay: float | None = None
    hedge_attempts: int = 2
    strategy: Strategy = "auto"
    map_errors: ErrorMap | None = None
    retry_jitter: float = 1.0
    instead: Callable[[Exception], Exception | None] | None = field(
        init=False, repr=False, compare=False
    )
    is_retried: Callable[[Exception], bool] = field(init=False, repr=False, compare=False)
    budget: RetryBudget | None = field(init=False, repr=False, compare=False)
    is_guarded: bool = field(init=False, repr=False, compare=False)
    fallbacks: tuple[Fallback, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in _POLICY_FIELDS:
            self._set(name, FIELDS[name].check(getattr(self, name)))
        for spec in _SPECS:
            self._set(spec.name, spec.check(getattr(self, spec.name)))
        if self.strategy not in STRATEGIES:
            raise PolicyError("strategy", self.strategy, "one of " + ", ".join(STRATEGIES))
        self._check_functions()
        for name, kind in _PARTS.items():
            if not isinstance(getattr(self, name), kind | None):
                raise PolicyError(name, getattr(self, name), f"of {kind.__name__}, or None")
        self._set("instead", error_map(self.map_errors))
        breaker = self.circuit_breaker
        own = breaker.retry_budget if breaker is not None else None
        self._set("budget", self.retry_budget or own)
        guards = (self.deadline, self.rate_limiter, self.bulkhead)
        self._set("is_guarded", any(each is not None for each in guards))
        if breaker is not None:
            breaker.declare(**self._declared())

    def _declared(self) -> dict[str, object]:
        """The fields of `Policy` that these options set."""
        declared: dict[str, object] = {name: getattr(self, name) for name in _POLICY_FIELDS}
        declared["retry_budget"] = None if self.budget is None else self.budget.ratio
        if self.bulkhead is not None:
            declared["bulkhead_size"] = self.bulkhead.max_concurrent
        if self.rate_limiter is not None:
            declared["rate_limit"] = self.rate_limiter.calls / self.rate_limiter.per
        return declared

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _check_functions(self) -> None:
        several = self.fallback if isinstance(self.fallback, Sequence) else (self.fallback,)
        if self.fallback is not None and not (several and all(map(callable, several))):
            raise PolicyError("fallback", self.fallback, "a function, or several")
        self._set("fallbacks", () if self.fallback is None else tuple(several))
        for name in ("retry_on_result", "on_retry"):
            if getattr(self, name) is not None and not callable(getattr(self, name)):
                raise PolicyError(name, getattr(self, name), "a function, or None")
        if not (
            self.cache_key is None or isinstance(self.cache_key, str) or callable(self.cache_key)
        ):
            raise PolicyError("cache_key", self.cache_key, "a text, a function, or None")
        try:
            self._set("is_retried", error_rule(self.retry_on))
            error_rule(self.negative_on)
        except TypeError as error:
            name = "retry_on" if not hasattr(self, "is_retried") else "negative_on"
            raise PolicyError(name, getattr(self, name), "exception types") from error

    def takes_stale_for(self, error: Exception) -> bool:
        """Whether an older answer may stand in: not for a failure that is an answer itself."""
        return self.stale_ttl is not None and not isinstance(error, self.negative_on)

    def key_for(self, args: Any, kwargs: Any) -> str:
        """Where the answer of a call with these arguments is kept."""
        key = self.cache_key
        return str(key(*args, **kwargs) if callable(key) else key)

    def effective(self) -> tuple[float | None, int, float]:
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
