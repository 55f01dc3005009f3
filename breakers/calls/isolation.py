"""Runs a call in a worker thread so that its caller is freed in time, whatever the call does.

Python cannot kill a thread. A call that never returns keeps its thread; how many may be held that
way is bounded, and at the bound the next call is refused instead of stranding one more. Costs a
hand-over between threads, about 30 µs a call.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from breakers.common.forking import renew_after_fork
from breakers.common.validation import whole
from breakers.deadline import Deadline
from breakers.errors import CallTimeout, IsolationExhausted


class Job:
    """A call in a thread."""

    __slots__ = ("abandoned", "context", "done", "error", "finished", "func", "result")

    def __init__(self, func: Callable[[], Any]) -> None:
        self.func = func
        self.context = contextvars.copy_context()
        self.done = threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None
        self.finished = self.abandoned = False

    def run(self) -> None:
        try:
            self.result = self.context.run(self.func)
        except BaseException as error:
            self.error = error


class IsolationPool:
    """Daemon threads, at most `max_threads`, started as they are needed.

    >>> IsolationPool(2).run(lambda: 41 + 1, Deadline.after(1.0))
    42
    """

    def __init__(self, max_threads: int = 64) -> None:
        self.max_threads = whole("max_threads", max_threads)
        self._after_fork()
        renew_after_fork(self)

    def _after_fork(self) -> None:
        self._lock = threading.Lock()
        self._jobs: SimpleQueue[Job] = SimpleQueue()
        self._threads = 0
        self._busy = 0
        self.stranded = 0
        """Threads held right now by calls whose caller has gone."""

    def run(self, func: Callable[[], Any], deadline: Deadline) -> Any:
        """`func()`, or `CallTimeout` once the deadline has passed.

        Raises:
            IsolationExhausted: all threads are busy.
        """
        return self.result(self.start(func), deadline)

    def result(self, job: Job, deadline: Deadline | None) -> Any:
        """What a started call returns or raises, or `CallTimeout` once the deadline has passed."""
        try:
            came = job.done.wait(None if deadline is None else deadline.remaining())
        except BaseException:
            # An interrupt of whoever waits here: nobody will.
            self._abandon(job)
            raise
        if not came:
            self._abandon(job)
            raise CallTimeout(deadline.budget if deadline is not None else None)
        if job.error is not None:
            raise job.error
        return job.result

    def start(self, func: Callable[[], Any]) -> Job:
        """Begin `func()` in a thread, in a copy of the caller's context.

        Raises:
            IsolationExhausted: all threads are busy.
        """
        job = Job(func)
        with self._lock:
            if self._busy >= self.max_threads:
                raise IsolationExhausted(
                    f"all {self.max_threads} isolation threads are busy, {self.stranded} of them "
                    "with calls that outlived their timeout"
                )
            self._busy += 1
            starts = self._busy > self._threads
            self._threads += starts
        if starts:
            worker = threading.Thread(target=self._work, name="breakers-isolation", daemon=True)
            try:
                worker.start()
            except RuntimeError as error:
                with self._lock:
                    self._busy -= 1
                    self._threads -= 1
                raise IsolationExhausted(f"no isolation thread could be started: {error}") from None
        self._jobs.put(job)
        return job

    def _abandon(self, job: Job) -> None:
        with self._lock:
            if job.finished:
                return
            job.abandoned = True
            self.stranded += 1

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            job.run()
            with self._lock:
                job.finished = True
                self._busy -= 1
                self.stranded -= job.abandoned
            # Only now, so that a caller that comes straight back finds this thread free.
            job.done.set()


isolation = IsolationPool()
