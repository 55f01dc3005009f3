"""Several calls at once under one deadline: the results, and the errors by name."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from breakers.calls.isolation import Job, isolation
from breakers.common.async_library import need_asyncio
from breakers.common.validation import seconds
from breakers.deadline import Deadline, _current, current_deadline
from breakers.errors import CallTimeout, IsolationExhausted


@dataclass(frozen=True, slots=True)
class Gathered:
    """The outcome of several calls. Each name is either in `results` or in `errors`.

    >>> came = gather({"posts": lambda: ["hello"], "friends": lambda: {}["friends"]})
    >>> came.results, came.get("friends", []), came.is_complete
    ({'posts': ['hello']}, [], False)
    >>> came.errors
    {'friends': KeyError('friends')}
    """

    results: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, BaseException] = field(default_factory=dict)

    @property
    def missing(self) -> tuple[str, ...]:
        """The names of the calls that timed out."""
        return tuple(n for n, error in self.errors.items() if isinstance(error, CallTimeout))

    @property
    def is_complete(self) -> bool:
        """Whether every call returned a result."""
        return not self.errors

    def get(self, name: str, default: Any = None) -> Any:
        """A call's result, or `default` if it has none.

        Raises:
            KeyError: no call had that name.
        """
        if name in self.errors:
            return default
        return self.results[name]


async def agather(
    calls: Mapping[str, Callable[[], Awaitable[Any]]], timeout: float | None = None
) -> Gathered:
    """Await all of `calls` (coroutine functions without arguments) for at most `timeout` seconds.

    Late calls are cancelled, awaited and reported as `CallTimeout`. Errors are reported, not
    raised. A cancellation from outside cancels all calls.

    Raises:
        RuntimeError: no asyncio event loop runs, as under trio; nothing was called.

    >>> async def posts() -> list[str]:
    ...     return ["hello"]
    >>> asyncio.run(agather({"posts": posts}, timeout=1.0)).results
    {'posts': ['hello']}
    """
    need_asyncio("agather")
    if not calls:
        return Gathered()
    deadline = _deadline(timeout)
    token = _current.set(deadline)
    try:
        tasks = {name: asyncio.ensure_future(_awaited(call)) for name, call in calls.items()}
    finally:
        _current.reset(token)
    try:
        left = None if deadline is None else deadline.remaining()
        _, late = await asyncio.wait(tasks.values(), timeout=left)
        await _cancelled(late)
    except BaseException:
        await _cancelled(tasks.values())
        raise
    finally:
        if deadline is not None and timeout is not None:
            deadline.end()
    return _collected(tasks, late, deadline)


def _collected(
    tasks: Mapping[str, asyncio.Task[Any]],
    late: Container[asyncio.Task[Any]],
    deadline: Deadline | None,
) -> Gathered:
    gathered = Gathered()
    for name, task in tasks.items():
        if deadline is not None and task in late:
            gathered.errors[name] = CallTimeout(deadline.budget)
        elif task.cancelled():
            gathered.errors[name] = asyncio.CancelledError()
        elif (error := task.exception()) is not None:
            gathered.errors[name] = error
        else:
            gathered.results[name] = task.result()
    return gathered


def gather(calls: Mapping[str, Callable[[], Any]], timeout: float | None = None) -> Gathered:
    """Make all of `calls` (functions without arguments) at once, each in an isolation thread.

    Returns after at most `timeout` seconds. Late calls are reported as `CallTimeout`; each keeps
    its thread until it ends. Errors are reported, not raised, among them `IsolationExhausted` if no
    thread was free. Calls can read the deadline.

    >>> gather({"posts": lambda: ["hello"], "friends": lambda: 7}, timeout=1.0).results
    {'posts': ['hello'], 'friends': 7}
    """
    deadline = _deadline(timeout)
    gathered = Gathered()
    jobs: dict[str, Job] = {}
    for name, call in calls.items():
        try:
            jobs[name] = isolation.start(call, deadline)
        except IsolationExhausted as full:
            # Without a traceback, which would refer to this frame and so to the error itself.
            gathered.errors[name] = full.with_traceback(None)
    for name, job in jobs.items():
        if not isolation.wait(job, deadline):
            gathered.errors[name] = CallTimeout(deadline.budget if deadline is not None else None)
        elif (error := job.take_error()) is not None:
            gathered.errors[name] = error
        else:
            gathered.results[name] = job.result
    return gathered


def _deadline(timeout: float | None) -> Deadline | None:
    if timeout is None:
        return current_deadline()
    return Deadline.after(seconds("timeout", timeout))


async def _awaited(call: Callable[[], Awaitable[Any]]) -> Any:
    return await call()


async def _cancelled(tasks: Any) -> None:
    pending = [task for task in tasks if not task.done()]
    for task in pending:
        task.cancel()
    if pending:
        await asyncio.wait(pending)
