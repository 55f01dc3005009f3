"""The loop of attempts of every HTTP client, each within its time and behind its host's breaker."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random as _random
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final, Generic, NamedTuple, TypedDict, TypeVar

from breakers.calls.attempts import Attempts
from breakers.calls.options import CallOptions
from breakers.calls.timeouts import acall_within
from breakers.clock import SYSTEM_CLOCK
from breakers.deadline import Deadline, bounded, current_deadline
from breakers.errors import CallTimeout
from breakers.integrations.http_rules import Answer, FailedResponse, failed, safe
from breakers.integrations.per_host import PER_HOST, BreakerFor, breaker_for
from breakers.integrations.permits import Held

R = TypeVar("R", bound=Answer)
_MAX_BREAKERS: Final = 1024


class Client(NamedTuple):
    """What the loop must know of a client.

    `worth`: the errors that another attempt may mend; `outcome`: what a breaker is told of an
    error; `late`: the client's error for a time, in seconds, that is up.
    """

    worth: Callable[[Exception], bool]
    outcome: Callable[[BaseException], BaseException]
    late: Callable[[float], Exception]


class Settings(TypedDict, total=False):
    """What every client's integration takes.

    breaker: one for all hosts, a function that gives the one of a host (`PerHost`, the default), or
        None for none.
    timeout: seconds one attempt may take, its body included; None, the default, for what a deadline
        leaves.
    deadline: seconds for the whole call, attempts and pauses included; None by default.
    retries: attempts in all, 3 by default; 1 means no retry.
    retry_delay: seconds of backoff before the second attempt, 0.5 by default; doubles after, with
        full jitter.
    is_failure: whether a response is a failure, to be recorded and, where safe, retried; 5xx and
        429 by default.
    is_safe: whether a request may be made again; by default where its method is idempotent or it
        has an Idempotency-Key.
    sleep, asleep, random: for tests: how to wait between attempts, and what jitters it.
    """

    breaker: BreakerFor
    timeout: float | None
    deadline: float | None
    retries: int
    retry_delay: float
    is_failure: Callable[[Any], bool]
    is_safe: Callable[[Any], bool]
    sleep: Callable[[float], object]
    asleep: Callable[[float], Awaitable[object]]
    random: Callable[[], float]


class Exchanges:
    """How a client makes its requests; see `Settings`.

    Raises:
        PolicyError: naming the field, its value and what would be right.
    """

    def __init__(
        self,
        client: Client,
        *,
        breaker: BreakerFor = PER_HOST,
        timeout: float | None = None,
        deadline: float | None = None,
        retries: int = 3,
        retry_delay: float = 0.5,
        is_failure: Callable[[Any], bool] = failed,
        is_safe: Callable[[Any], bool] = safe,
        sleep: Callable[[float], object] = time.sleep,
        asleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        random: Callable[[], float] = _random.random,
    ) -> None:
        self.client, self.is_safe = client, is_safe
        self._breaker, self._is_failure = breaker, is_failure
        self._sleep, self._asleep = sleep, asleep
        self.attempts = Attempts(sleep, asleep, random)
        fixed = CallOptions(
            timeout, retries, retry_delay, deadline=deadline, retry_on=_or_answers(client.worth)
        )
        # For each breaker once, and bounded: whoever is asked for a host's may make one a call.
        self._options = functools.lru_cache(maxsize=_MAX_BREAKERS)(
            lambda breaker: replace(fixed, circuit_breaker=breaker)
        )

    def make(
        self,
        host: str,
        may_repeat: bool,
        send: Callable[[], R],
        dismiss: Callable[[R], object],
    ) -> Answered[R]:
        """`send` makes one attempt within `remaining()`; `dismiss` closes a response that is not
        returned.

        Raises:
            CircuitBreakerOpen: the breaker refused; the host was not asked.
            CallTimeout: the time was up; the client's own kind of it.
            Exception: what `send` raised at the last attempt.
        """
        exchange = self._begin(host, may_repeat)
        with bounded(exchange.options.deadline):
            while True:
                held = exchange.enter()
                try:
                    with bounded(exchange.timeout) as until:
                        response = send()
                    try:
                        bad = self._judge(response, until)
                    except BaseException:
                        with contextlib.suppress(Exception):
                            dismiss(response)
                        raise
                except BaseException as error:
                    pause = exchange.pause_after(held, error)
                    if pause is None:
                        raise
                else:
                    pause = exchange.pause_after(held, FailedResponse(response)) if bad else None
                    if pause is None:
                        held.answer = response
                        return Answered(response, held, exchange.until)
                    with contextlib.suppress(Exception):
                        dismiss(response)
                self._sleep(pause)

    async def amake(
        self,
        host: str,
        may_repeat: bool,
        send: Callable[[], Awaitable[R]],
        dismiss: Callable[[R], Awaitable[object]],
    ) -> Answered[R]:
        """`make` for coroutine functions. An attempt whose time is up is really cancelled; one that
        is cancelled from outside says nothing about the host."""
        exchange = self._begin(host, may_repeat)
        with bounded(exchange.options.deadline):
            while True:
                held = exchange.enter()
                try:
                    with bounded(exchange.timeout) as until:
                        response = await self._asend(send, dismiss, until)
                    try:
                        bad = self._judge(response, until)
                    except BaseException:
                        with contextlib.suppress(Exception):
                            await dismiss(response)
                        raise
                except BaseException as error:
                    pause = exchange.pause_after(held, error)
                    if pause is None:
                        raise
                else:
                    pause = exchange.pause_after(held, FailedResponse(response)) if bad else None
                    if pause is None:
                        held.answer = response
                        return Answered(response, held, exchange.until)
                    with contextlib.suppress(Exception):
                        await dismiss(response)
                await self._asleep(pause)

    async def _asend(
        self,
        send: Callable[[], Awaitable[R]],
        dismiss: Callable[[R], Awaitable[object]],
        until: Deadline | None,
    ) -> R:
        if until is None:
            return await send()
        got: list[R] = []

        async def attempt() -> None:
            got.append(await send())

        try:
            await acall_within(until.remaining(), attempt)
        except BaseException as error:
            for response in got:
                # It came in the moment in which the time was up.
                with contextlib.suppress(Exception):
                    await dismiss(response)
            if type(error) is CallTimeout:
                raise self.client.late(until.budget) from None
            raise
        return got[0]

    def _begin(self, host: str, may_repeat: bool) -> _Exchange:
        return _Exchange(self, self._options(breaker_for(self._breaker, host)), may_repeat)

    def _judge(self, response: Answer, until: Deadline | None) -> bool:
        if until is not None and until.remaining() <= 0:
            raise self.client.late(until.budget)
        return self._is_failure(response)


class Answered(NamedTuple, Generic[R]):
    """A response, the place in the breaker that its body still holds, and when it must be over by
    the client's settings; see `earliest` for its reader's."""

    response: R
    held: Held
    until: Deadline | None


class _Exchange:
    """One call: how many attempts are left to it, and what its breaker is told of each."""

    __slots__ = ("_attempt", "_by", "_delay", "_ends", "_retries", "options", "timeout", "until")

    def __init__(self, by: Exchanges, options: CallOptions, may_repeat: bool) -> None:
        self._by, self.options = by, options
        self.timeout, retries, self._delay = options.in_force()
        self._retries = retries if may_repeat else 1
        self._attempt = 0
        self._ends = _after(options.deadline)
        self.until: Deadline | None = None
        if options.budget is not None:
            options.budget.deposit()

    def enter(self) -> Held:
        """Begin an attempt."""
        self._attempt += 1
        deadline = current_deadline()
        if deadline is not None and deadline.remaining() <= 0:
            raise self._by.client.late(deadline.budget)
        self.until = _earlier(self._ends, _after(self.timeout))
        return Held(self.options.circuit_breaker)

    def pause_after(self, held: Held, error: BaseException) -> float | None:
        """Give the place back; seconds until the next attempt, None where there is none."""
        held.leave(self._by.client.outcome(error))
        if not isinstance(error, Exception):
            return None
        return self._by.attempts.pause(
            self.options, error, None, self._attempt, self._retries, self._delay
        )


def earliest(until: Deadline | None) -> Deadline | None:
    """When the reading of a body must be over: by the settings of the client that asked for it, or
    by the deadline of whoever reads, which need not be the one that it was asked for under."""
    return _earlier(until, current_deadline())


def _earlier(one: Deadline | None, other: Deadline | None) -> Deadline | None:
    if one is None or other is None:
        return one or other
    return one if one.at <= other.at else other


def _after(seconds: float | None) -> Deadline | None:
    return None if seconds is None else Deadline(SYSTEM_CLOCK.monotonic() + seconds, seconds)


def _or_answers(worth: Callable[[Exception], bool]) -> Callable[[Exception], bool]:
    return lambda error: isinstance(error, FailedResponse) or worth(error)
