"""Several calls side by side under one deadline: what came, and by name what did not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from breakers.calls.isolation import Job, isolation
from breakers.common.validation import seconds
from breakers.deadline import Deadline, _current
from breakers.errors import CallTimeout, IsolationExhausted


@dataclass(frozen=True, slots=True)
class Gathered:
    """What came of several calls: each name is in exactly one of the two.

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
        """The names of the calls that were out of time."""
        return tuple(n for n, error in self.errors.items() if isinstance(error, CallTimeout))

    @property
    def is_complete(self) -> bool:
        """Whether every call answered."""
        return not self.errors

    def get(self, name: str, default: Any = None) -> Any:
        """A call's answer, or `default` where it did not answer.

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

    Those that are late are cancelled, awaited and reported as `CallTimeout`; errors are reported,
    not raised. A cancellation from outside cancels them all.

    >>> async def posts() -> list[str]:
    ...     return ["hello"]
    >>> asyncio.run(agather({"posts": posts}, timeout=1.0)).results
    {'posts': ['hello']}
    """
    deadline = _deadline(timeout)
    if not calls:
        return Gathered()
    token = _current.set(deadline)
    try:
        tasks = {name: asyncio.ensure_future(_awaited(call)) for name, call in calls.items()}
    finally:
        _current.reset(token)
    try:
        left = None if deadline is None else deadline.remaining()
        _, late = await asyncio.wait(tasks.values(), timeout=left)
    except BaseException:
        await _cancelled(tasks.values())
        raise
    await _cancelled(late)
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

    Returns after `timeout` seconds at the latest; who is late then is reported as `CallTimeout`,
    and holds its thread until the call ends. Errors are reported, not raised, `IsolationExhausted`
    where no thread was free among them. Calls see the deadline.

    >>> gather({"posts": lambda: ["hello"], "friends": lambda: 7}, timeout=1.0).results
    {'posts': ['hello'], 'friends': 7}
    """
    deadline = _deadline(timeout)
    gathered = Gathered()
    jobs: dict[str, Job] = {}
    token = _current.set(deadline)
    try:
        for name, call in calls.items():
            try:
                jobs[name] = isolation.start(call)
            except IsolationExhausted as full:
                gathered.errors[name] = full
    finally:
        _current.reset(token)
    for name, job in jobs.items():
        try:
            gathered.results[name] = isolation.result(job, deadline)
        except BaseException as error:
            if error is not job.error and not isinstance(error, CallTimeout):
                # An interrupt of whoever waits here, not of the call.
                raise
            gathered.errors[name] = error
    return gathered


def _deadline(timeout: float | None) -> Deadline | None:
    if timeout is None:
        return _current.get()
    return Deadline.after(seconds("timeout", timeout))


async def _awaited(call: Callable[[], Awaitable[Any]]) -> Any:
    return await call()


async def _cancelled(tasks: Any) -> None:
    pending = [task for task in tasks if not task.done()]
    for task in pending:
        task.cancel()
    if pending:
        await asyncio.wait(pending)
