"""What a protected call can raise besides the callee's own errors.

The hot ones have no `__init__`: an open breaker raises thousands a second, and a plain exception
with positional arguments is what Python makes fastest.
"""

from __future__ import annotations


class BreakerError(Exception):
    """Base of everything this library raises at call time.

    >>> from breakers import CallOptions, CircuitBreaker, ResilientCaller
    >>> posts = CircuitBreaker()
    >>> posts.set_override("forced_open")
    >>> try:
    ...     ResilientCaller().call(int, CallOptions(timeout=1.0, circuit_breaker=posts))
    ... except BreakerError as error:
    ...     type(error).__name__
    'CircuitForcedOpen'
    """


class CircuitBreakerOpen(BreakerError):
    """The breaker refused the call; the callee was not asked.

    >>> error = CircuitBreakerOpen("posts", 12.5)
    >>> error.breaker, error.retry_after_s
    ('posts', 12.5)
    """

    @property
    def breaker(self) -> str:
        """The name of the breaker that refused."""
        return str(self.args[0]) if self.args else ""

    @property
    def retry_after_s(self) -> float | None:
        """Seconds until the breaker lets a probe pass; None where nobody can say."""
        return self.args[1] if len(self.args) > 1 else None

    def __str__(self) -> str:
        after = self.retry_after_s
        again = "" if after is None else f"; it lets a probe pass in {after:.1f} s"
        return f"circuit breaker {self.breaker!r} is {self._how}{again}"

    _how = "open"


class CircuitForcedOpen(CircuitBreakerOpen):
    """An operator holds the breaker open; `retry_after_s` is when the override ends, if it does.

    >>> from breakers import CircuitBreaker
    >>> posts = CircuitBreaker(name="posts", registry=None)
    >>> posts.set_override("forced_open")
    >>> posts.call(int)
    Traceback (most recent call last):
      ...
    breakers.errors.CircuitForcedOpen: circuit breaker 'posts' is forced open by an operator
    """

    _how = "forced open by an operator"

    def __str__(self) -> str:
        after = self.retry_after_s
        until = "" if after is None else f" for {after:.0f} s more"
        return f"circuit breaker {self.breaker!r} is {self._how}{until}"


class CallShed(CircuitBreakerOpen):
    """The breaker lets calls pass, but refused this one: by its throttle, or while it recovers.

    >>> str(CallShed("posts"))
    "circuit breaker 'posts' is refusing a share of its calls"
    """

    _how = "refusing a share of its calls"


class InjectedFault(BreakerError, ConnectionError):
    """An operator's drill failed this call in the place of the callee; see `agent.start(faults=)`.

    >>> str(InjectedFault("posts"))
    "a fault that an operator injected into calls of 'posts'"
    """

    def __str__(self) -> str:
        return f"a fault that an operator injected into calls of {self.args[0]!r}"


class CallTimeout(BreakerError, TimeoutError):
    """The call did not answer within its time.

    >>> str(CallTimeout(0.5))
    'no answer within 0.5 s'
    """

    @property
    def timeout(self) -> float | None:
        """The time the call was given, in seconds."""
        return self.args[0] if self.args else None

    def __str__(self) -> str:
        return (
            "no answer in time" if self.timeout is None else f"no answer within {self.timeout:g} s"
        )


class CallInterrupted(BaseException):
    """Raised by an alarm inside a call whose time is up. `timeout` turns it into `CallTimeout`.

    It is no `Exception`: libraries that catch those and try again would swallow it.

    >>> import time
    >>> from breakers import timeout
    >>> try:
    ...     with timeout(0.01):
    ...         try:
    ...             time.sleep(30)
    ...         except CallInterrupted as interruption:
    ...             print(interruption)
    ...             raise
    ... except CallTimeout as error:
    ...     print(error)
    the call was interrupted after 0.01 s
    no answer within 0.01 s
    """

    def __init__(self, alarm: object, seconds: float) -> None:
        super().__init__(f"the call was interrupted after {seconds:g} s")
        self.alarm = alarm
        self.timeout = seconds


class BulkheadFull(BreakerError):
    """As many calls as allowed are running already.

    >>> from breakers import Bulkhead
    >>> bulkhead = Bulkhead(1)
    >>> with bulkhead, bulkhead:
    ...     pass
    Traceback (most recent call last):
      ...
    breakers.errors.BulkheadFull: all 1 slots are taken, and none came free within 0 s
    """


class IsolationExhausted(BulkheadFull):
    """Every isolation thread is held by a call that never returned; no new one is stranded.

    >>> import threading
    >>> from breakers.calls.isolation import IsolationPool
    >>> pool, never = IsolationPool(max_threads=1), threading.Event()
    >>> held = pool.start(never.wait)
    >>> try:
    ...     pool.start(int)
    ... except IsolationExhausted as error:
    ...     print(error)
    all 1 isolation threads are busy, 0 of them with calls that outlived their timeout
    >>> never.set()
    """


class RateLimited(BreakerError):
    """More calls than the rate allows; the callee was not asked.

    >>> str(RateLimited(2, 60.0, 30.0))
    'over 2 calls in 60 s; the next may come in 30.0 s'
    """

    @property
    def retry_after_s(self) -> float:
        """Seconds until a call conforms again."""
        return float(self.args[2])

    def __str__(self) -> str:
        calls, per, wait = self.args
        return f"over {calls} calls in {per:g} s; the next may come in {wait:.1f} s"


class CachedFailure(BreakerError):
    """The cache remembers that this call failed, with this message; its type cannot be made again.

    >>> from breakers import CallOptions, ResilientCaller, TTLCache
    >>> class NotFound(Exception):
    ...     def __init__(self, kind: str, id: int) -> None:
    ...         super().__init__(f"no {kind} {id}")
    >>> def user() -> None:
    ...     raise NotFound("user", 7)
    >>> caller = ResilientCaller(TTLCache())
    >>> options = CallOptions(timeout=1.0, retries=1, cache_key="user:7", negative_on=(NotFound,))
    >>> for attempt in range(2):
    ...     try:
    ...         caller.call(user, options)
    ...     except Exception as error:
    ...         print(type(error).__name__, error)
    NotFound no user 7
    CachedFailure no user 7
    """


class RegistryFull(BreakerError):
    """The registry holds as many breakers as it may. Are names made from user input?

    >>> from breakers import CircuitBreaker, Registry
    >>> mine = Registry(max_breakers=1)
    >>> posts = CircuitBreaker(name="posts", registry=mine)
    >>> CircuitBreaker(name="user 7", registry=mine)
    Traceback (most recent call last):
      ...
    breakers.errors.RegistryFull: 1 breakers already; 'user 7' is refused
    """


class PolicyError(ValueError):
    """A policy field has a value it cannot have.

    >>> error = PolicyError("retries", 0, "a whole number from 1 to 20")
    >>> str(error)
    'retries is 0; it must be a whole number from 1 to 20'
    """

    def __init__(self, field: str, value: object, allowed: str) -> None:
        super().__init__(f"{field} is {value!r}; it must be {allowed}")
        self.field = field
        self.value = value
        self.allowed = allowed

    def __reduce__(self) -> tuple[type[PolicyError], tuple[str, object, str]]:
        """Errors cross processes: a task queue pickles them."""
        return type(self), (self.field, self.value, self.allowed)
