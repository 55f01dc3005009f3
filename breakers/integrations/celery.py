"""Celery tasks with a breaker and a deadline.

@app.task(base=ResilientTask, breaker=smtp, deadline=30.0, retries_when_open=True)
def send_mail(address): …
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import Any, ClassVar, Final

from breakers.calls.thread_timeouts import Strategy, call_within, can_interrupt
from breakers.circuit.breaker import CircuitBreaker
from breakers.common.exception_groups import find, is_all
from breakers.errors import CallTimeout, CircuitBreakerOpen, CircuitForcedOpen
from breakers.integrations.missing_extra import missing_extra
from breakers.integrations.permits import NoOutcome, guarded_call

try:
    from celery import Task
    from celery.exceptions import Retry, SoftTimeLimitExceeded, TaskPredicate
except ImportError as error:
    raise missing_extra("celery", error) from error

__all__ = ["ResilientTask"]

# The shortest pause before a task that an open breaker refused runs again.
_PAUSE_MIN_S: Final = 1.0
# Relative jitter, so that tasks refused together do not return together.
_JITTER: Final = 0.1
# The longest pause after a refusal by a breaker that opened by itself: it may close sooner.
_PAUSE_MAX_S: Final = 120.0


class ResilientTask(Task):
    """A base for tasks: `@app.task(base=ResilientTask, …)`, each setting as an argument or on a
    subclass.

    A retry after a refusal by an open breaker (by `retries_when_open`, `autoretry_for` or
    `self.retry`) waits until the breaker allows a probe, but no longer than two minutes, and while
    an operator holds it open no longer than `look_every`: an override may be lifted early. Either
    is `open_retry_delay`, if that is longer; up to 10 % jitter is added. A retry counts against
    `max_retries`, but for those that only look whether an override was lifted.

    The breaker records errors, timeouts and `retry` with a cause as failures. It does not record
    `Ignore`, `Reject`, refusals by other breakers and the exceptions named by `throws`.
    """

    abstract = True

    breaker: ClassVar[CircuitBreaker | None] = None
    """The breaker of each run. Each process of a worker has its own."""

    deadline: ClassVar[float | None] = None
    """Seconds for one run. In the main thread of a worker process (prefork, solo) the run is
    interrupted, and under gevent and eventlet where it waits. With threads it can read
    `remaining()`, and fails if it is late."""

    retries_when_open: ClassVar[bool] = False
    """Whether a run that any breaker refused is retried later."""

    open_retry_delay: ClassVar[float] = 30.0
    """Seconds until that retry when the breaker has no `retry_after_s`, as when forced open without
    an end."""

    look_every: ClassVar[float] = 30.0
    """The most seconds between two retries while an operator holds the breaker open."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task.

        Raises:
            CircuitBreakerOpen: a breaker refused, and the run is not retried.
            CallTimeout: the deadline passed.
            Retry: the run is retried.
        """
        # A task called as a function has no request yet; Celery's own __call__ creates it.
        directly = self.request.called_directly
        run = super().__call__ if directly else self.run
        try:
            if self.breaker is None:
                return self._within(run, args, kwargs)
            return guarded_call(self.breaker, self._outcome_of, self._within, run, args, kwargs)
        except Exception as error:
            refused = find(error, CircuitBreakerOpen)
            if refused is None or directly or not self.retries_when_open:
                raise
            raise self.retry(exc=refused) from error

    def retry(
        self,
        args: Any = None,
        kwargs: Any = None,
        exc: BaseException | None = None,
        throw: bool = True,
        eta: Any = None,
        countdown: float | None = None,
        max_retries: int | None = None,
        **options: Any,
    ) -> Any:
        """Celery's `retry`, with a sufficient countdown after a refusal. An `eta` is kept."""
        refused = exc if exc is not None else sys.exception()
        opened = None if refused is None else find(refused, CircuitBreakerOpen)
        looks = False
        if opened is not None and eta is None:
            pause, looks = self._pause_after(opened)
            countdown = max(countdown or 0.0, pause)
        request = self.request
        # An eager retry does not wait, so that it has to end by its number.
        free = int(looks and not request.called_directly and not request.is_eager)
        request.retries -= free
        try:
            return super().retry(args, kwargs, exc, throw, eta, countdown, max_retries, **options)
        finally:
            request.retries += free

    def _within(self, run: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if self.deadline is None:
            return run(*args, **kwargs)
        # A worker thread would lack the task's request.
        strategy: Strategy = "auto" if can_interrupt() else "cooperative"
        return call_within(self.deadline, strategy, run, *args, **kwargs)

    def _outcome_of(self, error: BaseException) -> BaseException | None:
        if isinstance(error, Retry) and isinstance(error.exc, Exception):
            error = error.exc
        if find(error, (TaskPredicate, CircuitBreakerOpen)) is not None:
            return NoOutcome()
        if find(error, SoftTimeLimitExceeded) is not None:
            return CallTimeout()
        return None if self.throws and is_all(error, tuple(self.throws)) else error

    def _pause_after(self, error: CircuitBreakerOpen) -> tuple[float, bool]:
        """Seconds to wait, and whether the retry then only looks whether an override was lifted."""
        said = error.retry_after_s
        is_forced = isinstance(error, CircuitForcedOpen)
        most = max(self.look_every if is_forced else _PAUSE_MAX_S, self.open_retry_delay)
        wanted = max(_PAUSE_MIN_S, self.open_retry_delay if said is None else said)
        return min(wanted, most) * (1.0 + _JITTER * random.random()), is_forced and wanted > most
