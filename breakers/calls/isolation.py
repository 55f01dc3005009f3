"""Runs a call in a worker thread, so that its caller can return in time whatever the call does.

Python cannot kill a thread. A call that never returns keeps its thread. The number of threads is
bounded; at the bound, further calls are refused. A call costs one hand-over between threads each
way, about 30 µs.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from breakers.common.forking import renew_after_fork
from breakers.common.guard import Guard, Nested
from breakers.common.uninterruptible import uninterruptible
from breakers.common.validation import whole
from breakers.deadline import Deadline, _current
from breakers.errors import CallTimeout, IsolationExhausted


class Job:
    """A call in a thread. `deadline` is what the callee reads; it ends when the callee does, and so
    a callee that outlives its caller still sees that its time is up."""

    __slots__ = ("abandoned", "context", "deadline", "done", "error", "finished", "func", "result")

    def __init__(self, func: Callable[[], Any], deadline: Deadline | None) -> None:
        self.func = func
        self.deadline = deadline
        self.context = contextvars.copy_context()
        self.done = threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None
        self.finished = self.abandoned = False

    def run(self) -> None:
        """Make the call and keep its result or error."""
        try:
            self.result = self.context.run(_bounded, self.func, self.deadline)
        except BaseException as error:
            # Without the frame of this function, which refers to the job and so to the error.
            self.error = error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)

    def take_error(self) -> BaseException | None:
        """The error, which the job then no longer refers to."""
        error, self.error = self.error, None
        return error


def _bounded(func: Callable[[], Any], deadline: Deadline | None) -> Any:
    if deadline is None:
        return func()
    own = Deadline(deadline.at, deadline.budget, deadline._outer)
    token = _current.set(own)
    try:
        return func()
    finally:
        own.end(token)


class IsolationPool:
    """Daemon threads, at most `max_threads`, started when needed.

    >>> IsolationPool(2).run(lambda: 41 + 1, Deadline.after(1.0))
    42
    """

    def __init__(self, max_threads: int = 64) -> None:
        self.max_threads = whole("max_threads", max_threads)
        self._after_fork()
        renew_after_fork(self)

    def _after_fork(self) -> None:
        self._guard = Guard()
        self._jobs: SimpleQueue[Job] = SimpleQueue()
        self._threads = 0
        self._busy = 0
        self.stranded = 0
        """The number of threads whose caller has returned before the call."""

    def run(self, func: Callable[[], Any], deadline: Deadline) -> Any:
        """`func()`, or `CallTimeout` once the deadline has passed.

        Raises:
            IsolationExhausted: all threads are busy.
        """
        return self.result(self.start(func, deadline), deadline)

    def result(self, job: Job, deadline: Deadline | None) -> Any:
        """The result or error of a started call, or `CallTimeout` once the deadline has passed."""
        if not self.wait(job, deadline):
            raise CallTimeout(deadline.budget if deadline is not None else None)
        error = job.take_error()
        if error is None:
            return job.result
        try:
            raise error
        finally:
            # This frame is part of the error's traceback.
            del error

    def wait(self, job: Job, deadline: Deadline | None) -> bool:
        """Whether a started call ends before the deadline."""
        try:
            came = job.done.wait(None if deadline is None else deadline.remaining())
        except BaseException:
            # An interrupt of the waiting thread: nobody will read the result.
            self._abandon(job)
            raise
        if not came:
            self._abandon(job)
        return came

    def start(self, func: Callable[[], Any], deadline: Deadline | None = None) -> Job:
        """Begin `func()` in a thread, in a copy of the caller's context.

        Raises:
            IsolationExhausted: all threads are busy.
        """
        job = Job(func, deadline)
        if self._take_thread():
            worker = threading.Thread(target=self._work, name="breakers-isolation", daemon=True)
            try:
                worker.start()
            except RuntimeError as error:
                self._guard.run(self._thread_not_started)
                raise IsolationExhausted(f"no isolation thread could be started: {error}") from None
        self._jobs.put(job)
        return job

    @uninterruptible
    def _take_thread(self) -> bool:
        """Reserve a thread. Returns whether a new one must be started."""
        starts = self._guard.run_now(self._reserve)
        if starts is None or isinstance(starts, Nested):
            raise IsolationExhausted(
                f"all {self.max_threads} isolation threads are busy, {self.stranded} of them "
                "with calls that outlived their timeout"
            )
        return starts

    def _reserve(self) -> bool | None:
        if self._busy >= self.max_threads:
            return None
        self._busy += 1
        starts = self._busy > self._threads
        self._threads += starts
        return starts

    def _thread_not_started(self) -> None:
        self._busy -= 1
        self._threads -= 1

    @uninterruptible
    def _abandon(self, job: Job) -> None:
        self._guard.run(self._strand, job)

    def _strand(self, job: Job) -> None:
        if not job.finished:
            job.abandoned = True
            self.stranded += 1

    def _finish(self, job: Job) -> None:
        job.finished = True
        self._busy -= 1
        self.stranded -= job.abandoned
        if job.abandoned:
            job.result = job.error = None

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            job.run()
            self._guard.run(self._finish, job)
            # Only now, so that a caller that comes straight back finds this thread free.
            job.done.set()
            # An idle thread keeps no result alive.
            del job


isolation = IsolationPool()
