"""The compiled plan of a call: what one attempt runs, chosen when the options are created.

A plan holds the code of its options alone: no timeout, no breaker and no enclosing deadline cost
nothing where there are none. See docs/decisions/0020.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from breakers.calls.thread_timeouts import Strategy, call_within, limited
from breakers.circuit.breaker import CircuitBreaker
from breakers.deadline import _current, current_deadline
from breakers.errors import CallTimeout

Attempt = Callable[[Callable[..., Any], Any, Any], Any]
_enclosing = _current.get


def sync_attempt(
    timeout: float | None, strategy: Strategy, breaker: CircuitBreaker | None
) -> Attempt:
    """One attempt of a sync call, breaker ▸ timeout ▸ call: of a function, its args and kwargs."""

    def in_deadline(func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """The attempt inside of a call that has a deadline."""
        left = time_left(timeout)
        called: Callable[..., Any] = func
        if left is not None:
            called, args = call_within, (left, strategy, func, *args)
        if breaker is None:
            return called(*args, **kwargs)
        return breaker.call(called, *args, **kwargs)

    if timeout is None:
        return _unlimited(breaker, in_deadline)
    bound = limited(timeout, strategy)
    if breaker is None:

        def attempt(func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
            if _enclosing() is None:
                return bound(func, args, kwargs)
            return in_deadline(func, args, kwargs)

    else:

        def attempt(func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
            if _enclosing() is None:
                return breaker.call(bound, func, args, kwargs)
            return in_deadline(func, args, kwargs)

    return attempt


def _unlimited(breaker: CircuitBreaker | None, in_deadline: Attempt) -> Attempt:
    if breaker is None:

        def attempt(func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
            if _enclosing() is None:
                return func(*args, **kwargs)
            return in_deadline(func, args, kwargs)

    else:

        def attempt(func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
            if _enclosing() is None:
                return breaker.call(func, *args, **kwargs)
            return in_deadline(func, args, kwargs)

    return attempt


def time_left(timeout: float | None) -> float | None:
    """The timeout of the next attempt: its own, or the time left of a deadline if it has none.

    Raises:
        CallTimeout: the deadline has passed. The callee is not called.
    """
    deadline = current_deadline()
    if deadline is None:
        return timeout
    left = deadline.remaining()
    if left <= 0:
        raise CallTimeout(deadline.budget)
    return left if timeout is None else timeout
