"""Celery's tasks behind a breaker and within a deadline.

@app.task(base=ResilientTask, breaker=smtp, deadline=30.0, retries_when_open=True)
def send_mail(address): …
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import Any, ClassVar, Final

from breakers.calls.timeouts import Strategy, call_within, can_interrupt
from breakers.circuit.breaker import CircuitBreaker
from breakers.errors import CallTimeout, CircuitBreakerOpen
from breakers.integrations.missing_extra import missing
from breakers.integrations.permits import NothingLearnt, through

try:
    from celery import Task
    from celery.exceptions import Retry, SoftTimeLimitExceeded, TaskPredicate
    from kombu.utils import compat
except ImportError as error:
    raise missing("celery", error) from error

__all__ = ["ResilientTask"]

# An open breaker is never asked sooner than that, whatever it says.
_LEAST_PAUSE_S: Final = 1.0
# A crowd of tasks that were refused together does not come back together.
_SPREAD: Final = 0.1


def _has_greenlets() -> bool:
    detect: Callable[[], str] = compat.detect_environment
    return detect() != "default"


class ResilientTask(Task):
    """A base for tasks: `@app.task(base=ResilientTask, …)`, each setting as an argument or on a
    subclass.

    A retry that follows from an open breaker, whoever asks for it (`retries_when_open`,
    `autoretry_for`, `self.retry`), waits at least until the breaker lets a probe pass, with up to a
    tenth more so that tasks spread out, and counts against `max_retries` as any other.

    `retry` with a cause, errors and timeouts are failures of the breaker's; `Ignore`, `Reject`, a
    refusal by another breaker and what `throws` names are not.
    """

    abstract = True

    breaker: ClassVar[CircuitBreaker | None] = None
    """What each run passes; a worker's processes have one each."""

    deadline: ClassVar[float | None] = None
    """Seconds for one run. In the main thread of a worker's process (prefork, solo) the run is
    interrupted; with threads and greenlets it reads `remaining()`, and fails if it comes late."""

    retries_when_open: ClassVar[bool] = False
    """Whether a run that a breaker refused, its own or any that it called, is tried again later."""

    open_retry_delay: ClassVar[float] = 30.0
    """Seconds until then where the breaker cannot say, as when an operator holds it open."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task.

        Raises:
            CircuitBreakerOpen: a breaker refused, and the run is not tried again.
            CallTimeout: the deadline passed.
            Retry: it is tried again.
        """
        # Called as a function it has no request yet, which Celery's own __call__ makes.
        directly = self.request.called_directly
        run = super().__call__ if directly else self.run
        try:
            if self.breaker is None:
                return self._within(run, args, kwargs)
            return through(self.breaker, self._told, self._within, run, args, kwargs)
        except CircuitBreakerOpen as error:
            if directly or not self.retries_when_open:
                raise
            raise self.retry(exc=error) from error

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
        """Celery's `retry`, which for an open breaker waits long enough. An `eta` is kept."""
        refused = exc if exc is not None else sys.exception()
        if isinstance(refused, CircuitBreakerOpen) and eta is None:
            countdown = max(countdown or 0.0, self._pause_after(refused))
        return super().retry(args, kwargs, exc, throw, eta, countdown, max_retries, **options)

    def _within(self, run: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if self.deadline is None:
            return run(*args, **kwargs)
        # An isolated thread would not know the task's request; an alarm knows no greenlets.
        interrupts = can_interrupt() and not _has_greenlets()
        strategy: Strategy = "auto" if interrupts else "cooperative"
        return call_within(self.deadline, strategy, run, *args, **kwargs)

    def _told(self, error: BaseException) -> BaseException | None:
        if isinstance(error, Retry) and isinstance(error.exc, Exception):
            error = error.exc
        if isinstance(error, TaskPredicate | CircuitBreakerOpen):
            return NothingLearnt()
        if isinstance(error, SoftTimeLimitExceeded):
            return CallTimeout()
        return None if self.throws and isinstance(error, tuple(self.throws)) else error

    def _pause_after(self, error: CircuitBreakerOpen) -> float:
        said = error.retry_after_s
        pause = max(_LEAST_PAUSE_S, self.open_retry_delay if said is None else said)
        return pause * (1.0 + _SPREAD * random.random())
