"""Retries, timeouts and fallbacks for generator functions.

Only the time that the generator works counts, not the time between its items. After a failure the
generator function is called again and starts from its beginning, as with stamina: the consumer sees
the first items again. A fallback's items follow those that were seen.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterable, Iterator
from typing import Any

from breakers.calls.caller import ResilientCaller
from breakers.calls.coroutine_timeouts import acall_within
from breakers.calls.options import CallOptions
from breakers.calls.stand_ins import NONE
from breakers.calls.switches import switches
from breakers.calls.thread_timeouts import call_within
from breakers.clock import SYSTEM_CLOCK
from breakers.errors import CallTimeout

_now = SYSTEM_CLOCK.monotonic


class GeneratorCalls:
    """Calls of a generator function.

    Raises:
        TypeError: the options have a cache key or hedging, which need a single result.
    """

    def __init__(self, caller: ResilientCaller, options: CallOptions) -> None:
        for name in ("cache_key", "hedge_delay"):
            if getattr(options, name) is not None:
                raise TypeError(f"{name} needs a single result, and this is a generator function")
        self._caller, self._options = caller, options

    def wrap(self, func: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        """A generator function that makes each call as the options say.

        Raises:
            TypeError: a rule is a coroutine function.
        """
        options = self._options
        if options.refuses_sync is not None:
            raise TypeError(options.refuses_sync)
        guarded = func if options.circuit_breaker is None else options.circuit_breaker(func)

        @functools.wraps(func)
        def generating(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            if switches.is_off:
                return (yield from func(*args, **kwargs))
            left = _TimeLeft(options.deadline)
            with self._capacity():
                try:
                    return (yield from self._attempts(guarded, left, args, kwargs))
                except Exception as error:
                    answer = self._caller._stand_ins.for_error(
                        None, options, error, args, kwargs, None
                    )
                    if answer is NONE:
                        self._caller._stand_ins.raise_mapped(options, error)
                        raise
                return (yield from answer) if isinstance(answer, Iterable) else answer

        return generating

    def awrap(
        self, func: Callable[..., AsyncGenerator[Any, Any]]
    ) -> Callable[..., AsyncGenerator[Any, Any]]:
        """`wrap` for an async generator function."""
        options = self._options
        guarded = func if options.circuit_breaker is None else options.circuit_breaker(func)

        @functools.wraps(func)
        async def generating(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            if switches.is_off:
                guarded_or_not = func(*args, **kwargs)
                async with contextlib.aclosing(guarded_or_not) as items:
                    async for item in items:
                        yield item
                return
            left = _TimeLeft(options.deadline)
            async with self._acapacity():
                try:
                    made = self._aattempts(guarded, left, args, kwargs)
                    async with contextlib.aclosing(made) as items:
                        async for item in items:
                            yield item
                    return
                except Exception as error:
                    answer = await self._caller._stand_ins.afor_error(
                        None, options, error, args, kwargs, None
                    )
                    if answer is NONE:
                        self._caller._stand_ins.raise_mapped(options, error)
                        raise
                async for item in _aitems(answer):
                    yield item

        return generating

    def _attempts(
        self, func: Callable[..., Iterator[Any]], left: _TimeLeft, args: Any, kwargs: Any
    ) -> Generator[Any, Any, Any]:
        options, caller = self._options, self._caller._attempts
        timeout, attempts, delay = options.effective()
        if options.budget is not None:
            options.budget.deposit()
        attempt, started = 0, _now()
        while True:
            attempt += 1
            try:
                steps = func(*args, **kwargs)
                return (yield from _timed(steps, left.of_attempt(timeout), options))
            except Exception as error:
                pause = caller.pauses.pause(options, error, None, attempt, attempts, delay, started)
                if pause is None or not left.allows(pause):
                    raise
            if not switches.no_sleep:
                caller._sleep(pause)

    async def _aattempts(
        self, func: Callable[..., AsyncGenerator[Any, Any]], left: _TimeLeft, args: Any, kwargs: Any
    ) -> AsyncGenerator[Any, Any]:
        options, caller = self._options, self._caller._attempts
        timeout, attempts, delay = options.effective()
        if options.budget is not None:
            options.budget.deposit()
        attempt, started = 0, _now()
        while True:
            attempt += 1
            try:
                made = _atimed(func(*args, **kwargs), left.of_attempt(timeout))
                async with contextlib.aclosing(made) as items:
                    async for item in items:
                        yield item
                return
            except Exception as error:
                pause = await caller.apause(options, error, None, attempt, attempts, delay, started)
                if pause is None or not left.allows(pause):
                    raise
            if not switches.no_sleep:
                await caller._asleep(pause)

    @contextlib.contextmanager
    def _capacity(self) -> Iterator[None]:
        options = self._options
        if options.rate_limiter is not None:
            options.rate_limiter.acquire()
        if options.bulkhead is None:
            yield
            return
        options.bulkhead.acquire()
        try:
            yield
        finally:
            options.bulkhead.release()

    @contextlib.asynccontextmanager
    async def _acapacity(self) -> AsyncIterator[None]:
        options = self._options
        if options.rate_limiter is not None:
            await options.rate_limiter.aacquire()
        if options.bulkhead is None:
            yield
            return
        await options.bulkhead.aacquire()
        try:
            yield
        finally:
            options.bulkhead.release()


class _TimeLeft:
    """The working time that is left of a call, and of one attempt."""

    def __init__(self, seconds: float | None, call: _TimeLeft | None = None) -> None:
        self.budget, self._left, self._call = seconds, seconds, call

    def of_attempt(self, seconds: float | None) -> _TimeLeft:
        """The time of the next attempt, which also counts for the call."""
        return _TimeLeft(seconds, self)

    @property
    def seconds(self) -> float | None:
        """Seconds left; None for no limit.

        Raises:
            CallTimeout: there are none left.
        """
        limits = [(each._left, each.budget) for each in (self, self._call) if each is not None]
        left, budget = min(
            ((left, budget) for left, budget in limits if left is not None),
            default=(None, None),
        )
        if left is not None and left <= 0:
            raise CallTimeout(budget)
        return left

    def spend(self, seconds: float) -> None:
        """Count working time."""
        if self._left is not None:
            self._left -= seconds
        if self._call is not None:
            self._call.spend(seconds)

    def allows(self, pause: float) -> bool:
        """Whether there is time for a pause, which counts too."""
        if self._left is not None and pause >= self._left:
            return False
        self.spend(pause)
        return True


def _timed(steps: Iterator[Any], left: _TimeLeft, options: CallOptions) -> Generator[Any, Any, Any]:
    """The items of a generator, each made within the time left."""
    step: Callable[..., Any] = functools.partial(next, steps)
    while True:
        seconds, began = left.seconds, _now()
        try:
            item = step() if seconds is None else call_within(seconds, options.strategy, step)
        except StopIteration as stop:
            return stop.value
        finally:
            left.spend(_now() - began)
        try:
            sent = yield item
        except GeneratorExit:
            _close(steps)
            raise
        except BaseException as error:
            if not isinstance(steps, Generator):
                raise
            step = functools.partial(steps.throw, error)
        else:
            if sent is not None and isinstance(steps, Generator):
                step = functools.partial(steps.send, sent)
            else:
                step = functools.partial(next, steps)


def _close(steps: Iterator[Any]) -> None:
    close = getattr(steps, "close", None)
    if close is not None:
        close()


async def _atimed(steps: AsyncGenerator[Any, Any], left: _TimeLeft) -> AsyncGenerator[Any, Any]:
    async with contextlib.aclosing(steps):
        while True:
            seconds, began = left.seconds, _now()
            try:
                if seconds is None:
                    item = await anext(steps)
                else:
                    item = await acall_within(seconds, steps.__anext__)
            except StopAsyncIteration:
                return
            finally:
                left.spend(_now() - began)
            yield item


async def _aitems(answer: Any) -> AsyncIterator[Any]:
    if inspect.isasyncgen(answer) or hasattr(answer, "__aiter__"):
        async for item in answer:
            yield item
    else:
        for item in answer:
            yield item
