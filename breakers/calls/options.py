"""How one kind of call is made. Frozen: created once, shared by all calls of the kind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, fields
from typing import Any, Final

from breakers.calls.coroutine_timeouts import TaskLimit
from breakers.calls.fallbacks import Fallback, FallbackOption, as_fallbacks
from breakers.calls.option_checks import PARTS, POLICY_FIELDS, SPECS, async_fields, check_functions
from breakers.calls.plans import Attempt, sync_attempt
from breakers.calls.records import CallRecord, RetryAttempt
from breakers.calls.thread_timeouts import STRATEGIES, Strategy
from breakers.circuit.breaker import CircuitBreaker
from breakers.circuit.outcomes import ErrorMap, ErrorRule, error_map, error_rule, group_rule
from breakers.circuit.policy import FIELDS
from breakers.common.exception_groups import is_all
from breakers.common.rules import is_async
from breakers.errors import PolicyError
from breakers.limits.rate_limit import RateLimiter
from breakers.limits.retry_budget import RetryBudget
from breakers.limits.slots import Slots

_DELAY_MAX_DEFAULT: Final = 60.0
Rule = Callable[[BaseException], bool]
Mapper = Callable[[Exception], Exception | None]


@dataclass(frozen=True)
class CallOptions:
    """How to make a call. Rules and hooks may be coroutine functions, for async calls alone.

    Args:
        timeout: seconds for one attempt; None sets no limit of its own.
        retries: the number of attempts; 1 means no retry.
        retry_delay: seconds of backoff before the second attempt. It doubles with each attempt and
            has full jitter.
        circuit_breaker: guards each attempt. Its operator's policy replaces what is set here.
        fallback: a function of the call's arguments that answers when the call fails, or several,
            tried in turn. `Fallback` limits one to some errors or results, and hands it the error.
            Errors that the breaker ignores reach none that does not ask for them.
        cache_key: the key of the cached result, or a function of the call's arguments that returns
            it; None disables the cache and single flight.
        cache_ttl: seconds a result is cached.
        stale_ttl: seconds after that in which a cached result still answers a failed call.
        negative_on: exceptions to cache as results (negative caching), such as "not found". A
            cached one is made of its type and message.
        negative_ttl: seconds such an exception is cached.
        single_flight: whether concurrent calls with the same key share one call, with or without
            a cache.
        deadline: seconds for the whole call, including attempts and pauses.
        rate_limiter: acquired before the call.
        bulkhead: a `Bulkhead` or an `AdaptiveLimit`, held during the call, including pauses.
        retry_on: the errors to retry: types, or a function of the error. A group is retried if each
            error in it is.
        retry_on_result: a function of a result that says whether to try again. The result of the
            last attempt is returned as it is.
        retry_if: a function of a `RetryAttempt` that has the last word on a retry, for errors and
            for results.
        retry_pause: a function of a `RetryAttempt` that returns the seconds before the next
            attempt. Its `pause_s` is what the backoff or the callee's `Retry-After` would be.
        retry_delay_max: the longest backoff in seconds; 60 by default, or `retry_delay` if that is
            longer.
        retry_jitter: the random share that may be taken off a pause; 1 is full jitter.
        retry_budget: the budget for retries; the breaker's own by default.
        on_retry: called before the pause of each retry with a `RetryAttempt`.
        on_attempt, on_call: called after each attempt and after the call with a `CallRecord`.
            Errors of hooks are logged.
        hedge_delay: seconds without an answer after which an async call is made once more beside
            the first. Only for calls that are safe to repeat.
        hedge_attempts: the number of hedged calls at once.
        strategy: how a sync call is bounded, see `breakers.calls.thread_timeouts`.
        map_errors: the error to raise in the place of the call's error, including refusals, if
            nothing else answers; as in `CircuitBreaker`.

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
    fallback: FallbackOption = None
    cache_key: str | Callable[..., str] | Callable[..., Awaitable[str]] | None = None
    cache_ttl: float = 300
    stale_ttl: float | None = None
    negative_on: tuple[type[Exception], ...] = ()
    negative_ttl: float = 10.0
    single_flight: bool = True
    deadline: float | None = None
    rate_limiter: RateLimiter | None = None
    bulkhead: Slots | None = None
    retry_on: ErrorRule = Exception
    retry_on_result: Callable[[Any], object] | None = None
    retry_if: Callable[[RetryAttempt], object] | None = None
    retry_pause: Callable[[RetryAttempt], float | Awaitable[float]] | None = None
    retry_delay_max: float = _DELAY_MAX_DEFAULT
    retry_budget: RetryBudget | None = None
    on_retry: Callable[[RetryAttempt], object] | None = None
    on_attempt: Callable[[CallRecord], object] | None = None
    on_call: Callable[[CallRecord], object] | None = None
    hedge_delay: float | None = None
    hedge_attempts: int = 2
    strategy: Strategy = "auto"
    map_errors: ErrorMap | None = None
    retry_jitter: float = 1.0
    instead: Mapper | None = field(init=False, repr=False, compare=False)
    is_retried: Rule = field(init=False, repr=False, compare=False)
    retry_on_is_async: bool = field(init=False, repr=False, compare=False)
    judges_results: bool = field(init=False, repr=False, compare=False)
    is_observed: bool = field(init=False, repr=False, compare=False)
    reads_clock: bool = field(init=False, repr=False, compare=False)
    budget: RetryBudget | None = field(init=False, repr=False, compare=False)
    is_guarded: bool = field(init=False, repr=False, compare=False)
    fallbacks: tuple[Fallback, ...] = field(init=False, repr=False, compare=False)
    result_fallbacks: tuple[Fallback, ...] = field(init=False, repr=False, compare=False)
    has_async_rules: bool = field(init=False, repr=False, compare=False)
    awaits_breaker: bool = field(init=False, repr=False, compare=False)
    refuses_sync: str | None = field(init=False, repr=False, compare=False)
    attempt: Attempt = field(init=False, repr=False, compare=False)
    task_limit: TaskLimit | None = field(init=False, repr=False, compare=False)
    direct: Attempt | None = field(init=False, repr=False, compare=False)
    is_direct: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in POLICY_FIELDS:
            self._set(name, FIELDS[name].check(getattr(self, name)))
        for spec in SPECS:
            self._set(spec.name, spec.check(getattr(self, spec.name)))
        if self.retry_delay_max == _DELAY_MAX_DEFAULT:
            self._set("retry_delay_max", max(_DELAY_MAX_DEFAULT, self.retry_delay))
        if self.strategy not in STRATEGIES:
            raise PolicyError("strategy", self.strategy, "one of " + ", ".join(STRATEGIES))
        check_functions(self)
        self._set_rules()
        for name, kind in PARTS.items():
            if not isinstance(getattr(self, name), kind | None):
                raise PolicyError(name, getattr(self, name), f"of {kind.__name__}, or None")
        self._set("instead", error_map(self.map_errors))
        breaker = self.circuit_breaker
        own = breaker.retry_budget if breaker is not None else None
        self._set("budget", self.retry_budget or own)
        self._set_sync()
        self._compile()
        if breaker is not None:
            breaker.declare(**self._declared())

    def _declared(self) -> dict[str, object]:
        """The fields of `Policy` that these options set."""
        declared: dict[str, object] = {name: getattr(self, name) for name in POLICY_FIELDS}
        declared["retry_budget"] = None if self.budget is None else self.budget.ratio
        if self.bulkhead is not None:
            declared["bulkhead_size"] = self.bulkhead.max_concurrent
        if self.rate_limiter is not None:
            declared["rate_limit"] = self.rate_limiter.calls / self.rate_limiter.per
        return declared

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _set_rules(self) -> None:
        self._set("fallbacks", as_fallbacks(self.fallback))
        self._set(
            "result_fallbacks", tuple(each for each in self.fallbacks if each.on_result is not None)
        )
        self._set("retry_on_is_async", is_async(self.retry_on))
        judges = self.retry_on_result is not None or self.retry_if is not None
        self._set("judges_results", judges)
        self._set("is_observed", self.on_attempt is not None or self.on_call is not None)
        states = (self.retry_if, self.retry_pause, self.on_retry)
        self._set("reads_clock", self.is_observed or any(each is not None for each in states))
        try:
            rule = error_rule if self.retry_on_is_async else group_rule
            self._set("is_retried", rule(self.retry_on))
            error_rule(self.negative_on)
        except TypeError as error:
            name = "retry_on" if not hasattr(self, "is_retried") else "negative_on"
            raise PolicyError(name, getattr(self, name), "exception types") from error

    def _set_sync(self) -> None:
        """What only async calls can do, as the message with which sync calls are refused."""
        breaker = self.circuit_breaker
        own = async_fields(self)
        self._set("has_async_rules", bool(own))
        self._set("awaits_breaker", breaker is not None and bool(breaker._async_rules))
        names = [*own, *(breaker._async_rules if breaker is not None else ())]
        message = None
        if names:
            message = f"{', '.join(names)}: a coroutine function needs acall"
        elif self.hedge_delay is not None:
            message = "hedge_delay needs acall: a thread cannot be cancelled"
        self._set("refuses_sync", message)

    def _compile(self) -> None:
        """Choose what calls run. `direct` is the attempt of a sync call, and `is_direct` is true of
        async ones, if nothing but attempts and fallbacks for errors is asked for."""
        guards = (self.deadline, self.rate_limiter, self.bulkhead)
        self._set("is_guarded", any(each is not None for each in guards))
        self._set("attempt", sync_attempt(self.timeout, self.strategy, self.circuit_breaker))
        self._set("task_limit", None if self.timeout is None else TaskLimit(self.timeout))
        more = (self.cache_key, self.hedge_delay, self.result_fallbacks or None)
        is_plain = not (self.is_guarded or self.judges_results or self.reads_clock)
        is_direct = is_plain and all(each is None for each in more)
        self._set("direct", self.attempt if is_direct and self.refuses_sync is None else None)
        self._set("is_direct", is_direct and not self.awaits_breaker)

    def __copy__(self) -> CallOptions:
        made = object.__new__(CallOptions)
        made.__dict__.update(self.__dict__)
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        """Options are pickled as their fields. Functions are pickled by name, breakers too."""
        given = {each.name: getattr(self, each.name) for each in fields(self) if each.init}
        return _rebuilt, (given,)

    def takes_stale_for(self, error: Exception) -> bool:
        """Whether an older result may answer for an error: not if the error is a result itself."""
        return self.stale_ttl is not None and not is_all(error, self.negative_on)

    def key_for(self, args: Any, kwargs: Any) -> Any:
        """The cache key of a call with these arguments; an awaitable if the function is async."""
        key = self.cache_key
        return key(*args, **kwargs) if callable(key) else key

    def effective(self) -> tuple[float | None, int, float]:
        """Timeout, attempts and retry delay. An operator's policy replaces what is declared."""
        breaker = self.circuit_breaker
        if breaker is None or not breaker._remote:
            return self.timeout, self.retries, self.retry_delay
        policy, remote = breaker.policy, breaker.remote
        return (
            policy.timeout if "timeout" in remote else self.timeout,
            policy.retries if "retries" in remote else self.retries,
            policy.retry_delay if "retry_delay" in remote else self.retry_delay,
        )


def _rebuilt(given: dict[str, Any]) -> CallOptions:
    return CallOptions(**given)
