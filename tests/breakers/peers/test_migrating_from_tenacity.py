"""Each row of migrating.md for tenacity, run beside the real package."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import tenacity

from breakers import (
    Fallback,
    FallbackValue,
    ResilientCaller,
    RetryAttempt,
    resilient,
)
from breakers.testing import FakeClock
from tests.breakers.peers.migrating import Fails, Rows, caught, options, pauses
from tests.breakers.peers.side_by_side import Boom, Odd

row = Rows("tenacity")


def tried(**fields: Any) -> Any:
    return tenacity.retry(**{"sleep": lambda seconds: None, "reraise": True, **fields})


@row("@retry(...)", "stop_after_attempt(3)")
def attempts() -> None:
    for failures in (0, 2, 99):
        theirs, ours = Fails(failures), Fails(failures)
        them = tried(stop=tenacity.stop_after_attempt(3))(theirs)
        us = resilient(options(retries=3))(ours)
        assert caught(them) == caught(us)
        assert theirs.made == ours.made


@row("stop_after_delay(10)")
def stop_after_delay() -> None:
    """Neither begins an attempt after it."""
    clock = FakeClock()
    theirs = Fails()
    them = tenacity.retry(
        stop=tenacity.stop_after_delay(10),
        wait=tenacity.wait_fixed(6),
        sleep=clock.advance,
        reraise=True,
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tenacity.time.monotonic", clock.monotonic)
        caught(them(theirs))
    slept: list[float] = []
    ours = Fails()
    made = options(deadline=10, retries=20, retry_pause=lambda state: 11.0)
    caught(lambda: ResilientCaller(sleep=slept.append).call(ours, made))
    assert (theirs.made, ours.made, slept) == (3, 1, [])


def their_pauses(**fields: Any) -> list[float]:
    slept: list[float] = []
    caught(tried(sleep=slept.append, **fields)(Fails()))
    return slept


@row("wait_random_exponential(multiplier=0.5, max=10)")
def wait_random_exponential() -> None:
    wait = tenacity.wait_random_exponential(multiplier=0.5, max=10)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("random.uniform", lambda low, high: high)
        theirs = their_pauses(wait=wait, stop=tenacity.stop_after_attempt(7))
    assert theirs == pauses(retry_delay=0.5, retry_delay_max=10, retries=7)


@row("wait_exponential(multiplier=0.5, max=10)")
def wait_exponential() -> None:
    wait = tenacity.wait_exponential(multiplier=0.5, max=10)
    theirs = their_pauses(wait=wait, stop=tenacity.stop_after_attempt(7))
    assert theirs == pauses(retry_delay=0.5, retry_delay_max=10, retry_jitter=0, retries=7)


@row("wait_fixed(2), wait_incrementing, a function of the state")
def wait_fixed() -> None:
    stop = tenacity.stop_after_attempt(4)
    fixed = their_pauses(wait=tenacity.wait_fixed(2), stop=stop)
    assert fixed == pauses(retries=4, retry_pause=lambda state: 2.0) == [2.0] * 3
    rising = their_pauses(wait=tenacity.wait_incrementing(start=1, increment=3), stop=stop)
    assert rising == pauses(retries=4, retry_pause=lambda state: 3.0 * state.attempt - 2)
    ours = pauses(retries=4, retry_pause=lambda state: state.attempt)
    assert their_pauses(wait=lambda state: state.attempt_number, stop=stop) == ours


@row("retry_if_exception_type(E), retry_if_exception(f)")
def retry_if_exception() -> None:
    for their_rule, our_rule in (
        (tenacity.retry_if_exception_type(Boom), Boom),
        (tenacity.retry_if_exception(lambda e: isinstance(e, Boom)), lambda e: isinstance(e, Boom)),
    ):
        for error in (Boom, Odd):
            theirs, ours = Fails(error=error), Fails(error=error)
            caught(tried(stop=tenacity.stop_after_attempt(3), retry=their_rule)(theirs))
            caught(resilient(options(retry_on=our_rule))(ours))
            assert theirs.made == ours.made


@row("retry_if_result(f)")
def retry_if_result() -> None:
    theirs, ours = iter([None, None, 3]), iter([None, None, 3])
    them = tried(retry=tenacity.retry_if_result(lambda r: r is None))(lambda: next(theirs))
    us = resilient(options(retry_on_result=lambda r: r is None))(lambda: next(ours))
    assert them() == us() == 3


@row("before_sleep, before_sleep_log")
def before_sleep() -> None:
    theirs, ours = list[Any](), list[Any]()

    def noted(state: RetryAttempt) -> None:
        ours.append((state.attempt, type(state.error).__name__))

    def tell(state: tenacity.RetryCallState) -> None:
        assert state.outcome is not None
        theirs.append((state.attempt_number, type(state.outcome.exception()).__name__))

    caught(tried(stop=tenacity.stop_after_attempt(3), before_sleep=tell)(Fails()))
    caught(resilient(options(on_retry=noted))(Fails()))
    assert theirs == ours == [(1, "Boom"), (2, "Boom")]


@row("retry= a function of the RetryCallState")
def retry_of_the_state() -> None:
    theirs, ours = Fails(), Fails()
    caught(tried(retry=lambda state: state.attempt_number < 4)(theirs))
    caught(resilient(options(retries=9, retry_if=lambda state: state.attempt < 4))(ours))
    assert theirs.made == ours.made == 4


@row("before, after")
def after() -> None:
    theirs, ours = list[int](), list[int]()
    stop = tenacity.stop_after_attempt(3)
    caught(tried(stop=stop, after=lambda state: theirs.append(state.attempt_number))(Fails()))
    caught(resilient(options(on_attempt=lambda record: ours.append(record.attempt)))(Fails()))
    assert theirs == ours == [1, 2, 3]


@row("retry_error_callback")
def retry_error_callback() -> None:
    them = tried(
        stop=tenacity.stop_after_attempt(2),
        retry_error_callback=lambda state: type(state.outcome.exception()).__name__,
    )
    by_error = Fallback(lambda error: type(error).__name__, with_error=True)
    assert them(Fails())() == resilient(options(retries=2, fallback=by_error))(Fails())() == "Boom"
    assert resilient(options(retries=2, fallback=FallbackValue(0)))(Fails())() == 0


@row("RetryError, reraise=True")
def reraise() -> None:
    stop = tenacity.stop_after_attempt(2)
    assert caught(tried(stop=stop, reraise=False)(Fails())) == "RetryError"
    assert caught(tried(stop=stop)(Fails())) == caught(resilient(options(retries=2))(Fails()))


@row("Retrying(...)(func)")
def retrying() -> None:
    them = tenacity.Retrying(stop=tenacity.stop_after_attempt(3), sleep=lambda seconds: None)
    assert them(Fails(2), 7) == ResilientCaller().call(Fails(2), options(), 7) == "answer"


@row("AsyncRetrying")
def async_retrying() -> None:
    async def main() -> None:
        theirs, ours, decorated = Fails(2), Fails(2), Fails(2)

        async def them() -> str:
            return theirs()

        async def us() -> str:
            return ours()

        @resilient(options())
        async def also_us() -> str:
            return decorated()

        their = tenacity.AsyncRetrying(stop=tenacity.stop_after_attempt(3))
        assert await their(them) == await ResilientCaller().acall(us, options()) == await also_us()

    asyncio.run(main())


@pytest.mark.parametrize("cell", row.cells)
def test_a_row_is_true(cell: str) -> None:
    assert cell in row.tests, "this row has no test"
    row.tests[cell]()


def test_no_test_is_of_a_row_that_is_gone() -> None:
    assert set(row.tests) == set(row.cells)
