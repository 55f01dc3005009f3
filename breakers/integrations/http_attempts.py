"""The retry loop of the HTTP integrations: a timeout for each attempt, a breaker for each host."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import random as _random
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final, Generic, NamedTuple, TypedDict, TypeVar

from breakers.calls.coroutine_timeouts import acall_within
from breakers.calls.guards import Guards
from breakers.calls.options import CallOptions
from breakers.calls.pauses import Pauses
from breakers.calls.policy_options import with_policy
from breakers.calls.switches import switches
from breakers.circuit.faults import asending, sending
from breakers.clock import SYSTEM_CLOCK
from breakers.common.rules import aapply, apply, is_async
from breakers.deadline import Deadline, bounded, current_deadline
from breakers.errors import CallTimeout, PolicyError
from breakers.integrations.carried import Carry
from breakers.integrations.http_rules import (
    FLOWS_AFTER_CHUNKS,
    FLOWS_AFTER_S,
    Answer,
    FailedResponse,
    failed,
    has_length,
    safe,
)
from breakers.integrations.per_host import PER_HOST, BreakerFor, breaker_for
from breakers.integrations.permits import Permit

R = TypeVar("R", bound=Answer)
_MAX_BREAKERS: Final = 1024


class Client(NamedTuple):
    """The differences between HTTP clients.

    `worth`: whether an error is worth a retry. `outcome`: the error that the breaker records.
    `late`: creates the client's own timeout error from the timeout in seconds.
    """

    worth: Callable[[Exception], bool]
    outcome: Callable[[BaseException], BaseException]
    late: Callable[[float], Exception]


class Settings(TypedDict, total=False):
    """Settings shared by all HTTP integrations.

    breaker: one breaker for all hosts, a function of the host (`PerHost`, the default), or None.
    timeout: seconds for one attempt, including the body. None, the default, sets no limit besides
        the deadline.
    deadline: seconds for the whole call, including all attempts and pauses; None by default.
    retries: the number of attempts, 3 by default; 1 means no retry.
    retry_delay: seconds of backoff before the second attempt, 0.5 by default. It doubles with each
        attempt and has full jitter.
    is_failure: whether a response is a failure, which is recorded and, if safe, retried. The
        default is 5xx and 429. A coroutine function is awaited in async clients.
    is_safe: whether a request may be repeated. By default it may if its method is idempotent or it
        has an Idempotency-Key.
    carry: whether requests carry the deadline and the criticality in headers, see
        `breakers.integrations.carried`: to every host, to none (the default), or to the hosts for
        which a function says so.
    sleep, asleep, random: for tests: functions for the pause between attempts and its jitter.
    """

    breaker: BreakerFor
    timeout: float | None
    deadline: float | None
    retries: int
    retry_delay: float
    is_failure: Callable[[Any], object]
    is_safe: Callable[[Any], bool]
    carry: Carry
    sleep: Callable[[float], object]
    asleep: Callable[[float], Awaitable[object]]
    random: Callable[[], float]


class HttpAttempts:
    """Makes the requests of one client. See `Settings`.

    Raises:
        PolicyError: naming the field, its value and what would be right.
    """

    def __init__(
        self,
        client: Client,
        *,
        awaits: bool = False,
        breaker: BreakerFor = PER_HOST,
        timeout: float | None = None,
        deadline: float | None = None,
        retries: int = 3,
        retry_delay: float = 0.5,
        is_failure: Callable[[Any], object] = failed,
        is_safe: Callable[[Any], bool] = safe,
        carry: Carry = False,
        sleep: Callable[[float], object] = time.sleep,
        asleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        random: Callable[[], float] = _random.random,
    ) -> None:
        for name, given in (("is_safe", is_safe), ("is_failure", is_failure), ("sleep", sleep)):
            if is_async(given) and not (awaits and name == "is_failure"):
                raise PolicyError(name, given, "a plain function")
        self.client, self.is_safe, self.carry = client, is_safe, carry
        self._breaker, self._is_failure = breaker, is_failure
        self._sleep, self._asleep = sleep, asleep
        self._judge_is_async = is_async(is_failure)
        self.pauses = Pauses(random)
        fixed = CallOptions(
            timeout,
            retries,
            retry_delay,
            deadline=deadline,
            retry_on=_or_failed_response(client.worth),
        )
        # One ticket per breaker, bounded: a `breaker` function may return a new one for each call.
        self._options = functools.lru_cache(maxsize=_MAX_BREAKERS)(
            lambda breaker: replace(fixed, circuit_breaker=breaker)
        )

    def run(
        self,
        host: str,
        may_repeat: bool,
        send: Callable[[], R],
        dismiss: Callable[[R], object],
    ) -> GuardedResponse[R]:
        """`send` makes one attempt within `remaining()`; `dismiss` closes a response that is not
        returned.

        Raises:
            CircuitBreakerOpen: the breaker refused; the host was not asked.
            CallTimeout: the attempt or the call timed out; a subclass of the client's own error.
            Exception: what `send` raised at the last attempt.
        """
        call = self._begin(host, may_repeat)
        with bounded(call.options.deadline), Guards(call.options):
            while True:
                permit = call.enter()
                try:
                    with bounded(call.timeout) as until:
                        response = sending(send, call.options.circuit_breaker)()
                    try:
                        bad = self._judge(response, until)
                    except BaseException:
                        with contextlib.suppress(Exception):
                            dismiss(response)
                        raise
                except BaseException as error:
                    pause = call.pause_after(permit, error)
                    if pause is None:
                        raise
                else:
                    pause = call.pause_after(permit, FailedResponse(response)) if bad else None
                    if pause is None:
                        permit.answer = response
                        return GuardedResponse(response, permit, call.until)
                    with contextlib.suppress(Exception):
                        dismiss(response)
                if not switches.no_sleep:
                    self._sleep(pause)

    async def arun(
        self,
        host: str,
        may_repeat: bool,
        send: Callable[[], Awaitable[R]],
        dismiss: Callable[[R], Awaitable[object]],
    ) -> GuardedResponse[R]:
        """`run` for coroutine functions. A timeout cancels the attempt. The breaker does not record
        an attempt that is cancelled from outside."""
        call = self._begin(host, may_repeat)
        with bounded(call.options.deadline):
            async with Guards(call.options):
                while True:
                    permit = call.enter()
                    try:
                        with bounded(call.timeout) as until:
                            response = await self._asend(
                                asending(send, call.options.circuit_breaker), dismiss, until
                            )
                        try:
                            bad = await self._ajudge(response, until)
                        except BaseException:
                            with contextlib.suppress(Exception):
                                await dismiss(response)
                            raise
                    except BaseException as error:
                        pause = call.pause_after(permit, error)
                        if pause is None:
                            raise
                    else:
                        pause = call.pause_after(permit, FailedResponse(response)) if bad else None
                        if pause is None:
                            permit.answer = response
                            return GuardedResponse(response, permit, call.until)
                        with contextlib.suppress(Exception):
                            await dismiss(response)
                    if not switches.no_sleep:
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
                # The response arrived at the moment of the timeout.
                with contextlib.suppress(Exception):
                    await dismiss(response)
            if type(error) is CallTimeout:
                raise self.client.late(until.budget) from None
            raise
        return got[0]

    def _begin(self, host: str, may_repeat: bool) -> _HttpCall:
        return _HttpCall(self, self._options(breaker_for(self._breaker, host)), may_repeat)

    async def _ajudge(self, response: Answer, until: Deadline | None) -> bool:
        if not self._judge_is_async:
            return self._judge(response, until)
        if until is not None and until.remaining() <= 0:
            raise self.client.late(until.budget)
        return bool(await aapply(self._is_failure, response))

    def _judge(self, response: Answer, until: Deadline | None) -> bool:
        if until is not None and until.remaining() <= 0:
            raise self.client.late(until.budget)
        return bool(apply(self._is_failure, response))


class GuardedResponse(NamedTuple, Generic[R]):
    """A response, the permit that its body holds, and the deadline of the client's settings."""

    response: R
    permit: Permit
    until: Deadline | None


class Flow:
    """Records a body without a known length as a success once it flows.

    A stream that never ends would otherwise hold the only probe of a half-open breaker.
    """

    __slots__ = ("_chunks", "_has_length", "_permit", "_since")

    def __init__(self, guarded: GuardedResponse[Any]) -> None:
        self._permit = guarded.permit
        self._has_length = has_length(guarded.response)
        self._chunks = 0
        self._since = SYSTEM_CLOCK.monotonic()

    def arrived(self) -> None:
        """Count a chunk."""
        if self._has_length:
            return
        self._chunks += 1
        age = SYSTEM_CLOCK.monotonic() - self._since
        if self._chunks >= FLOWS_AFTER_CHUNKS or age >= FLOWS_AFTER_S:
            self._has_length = True
            self._permit.succeed()


class _HttpCall:
    """The state of one call: remaining attempts, timeout and breaker."""

    __slots__ = ("_attempt", "_by", "_delay", "_ends", "_retries", "options", "timeout", "until")

    def __init__(self, by: HttpAttempts, options: CallOptions, may_repeat: bool) -> None:
        breaker = options.circuit_breaker
        if breaker is not None and breaker._remote:
            options = with_policy(options, breaker)
        self._by, self.options = by, options
        self.timeout, retries, self._delay = options.effective()
        self._retries = retries if may_repeat else 1
        self._attempt = 0
        self._ends = _after(options.deadline)
        self.until: Deadline | None = None
        if options.budget is not None:
            options.budget.deposit()

    def enter(self) -> Permit:
        """Begin an attempt."""
        self._attempt += 1
        deadline = current_deadline()
        if deadline is not None and deadline.remaining() <= 0:
            raise self._by.client.late(deadline.budget)
        self.until = _earlier(self._ends, _after(self.timeout))
        return Permit(self.options.circuit_breaker)

    def pause_after(self, permit: Permit, error: BaseException) -> float | None:
        """Return the permit. Returns the seconds until the next attempt, or None."""
        permit.leave(self._by.client.outcome(error))
        if not isinstance(error, Exception):
            return None
        return self._by.pauses.pause(
            self.options, error, None, self._attempt, self._retries, self._delay
        )


def earliest(until: Deadline | None) -> Deadline | None:
    """The deadline for reading a body: the client's, or that of the reader's context if earlier."""
    return _earlier(until, current_deadline())


def _earlier(one: Deadline | None, other: Deadline | None) -> Deadline | None:
    if one is None or other is None:
        return one or other
    return one if one.at <= other.at else other


def _after(seconds: float | None) -> Deadline | None:
    return None if seconds is None else Deadline(SYSTEM_CLOCK.monotonic() + seconds, seconds)


def _or_failed_response(worth: Callable[[Exception], bool]) -> Callable[[Exception], bool]:
    return lambda error: isinstance(error, FailedResponse) or worth(error)
