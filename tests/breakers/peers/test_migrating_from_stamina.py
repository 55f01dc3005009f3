"""Each row of migrating.md for stamina, run beside the real package."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import stamina

from breakers import (
    ResilientCaller,
    resilient,
)
from breakers import testing as ours_testing
from tests.breakers.peers.migrating import Fails, Rows, caught, options, pauses
from tests.breakers.peers.side_by_side import Boom, Odd

row = Rows("stamina")


@pytest.fixture(autouse=True)
def normal() -> Iterator[None]:
    stamina.set_testing(False)
    yield
    stamina.set_testing(False)
    stamina.set_active(True)
    stamina.instrumentation.set_on_retry_hooks(None)
    ours_testing.set_testing(False)
    ours_testing.set_active(True)


QUICK: dict[str, Any] = {"wait_initial": 0.0, "wait_jitter": 0.0}


@row("@stamina.retry(on=E, attempts=3, timeout=45)")
def stamina_retry() -> None:
    for failures in (0, 2, 99):
        for error in (Boom, Odd):
            theirs, ours = Fails(failures, error), Fails(failures, error)
            them = stamina.retry(on=Boom, attempts=3, timeout=45, **QUICK)(theirs.__call__)
            us = resilient(options(retry_on=Boom, retries=3, deadline=45))(ours)
            assert caught(them) == caught(us)
            assert theirs.made == ours.made


@row("wait_initial, wait_max, wait_exp_base=2")
def stamina_waits() -> None:
    theirs: list[float] = []
    stamina.instrumentation.set_on_retry_hooks([lambda details: theirs.append(details.wait_for)])
    waits: dict[str, Any] = {"wait_initial": 0.001, "wait_max": 0.005, "wait_jitter": 0.0}
    caught(stamina.retry(on=Boom, attempts=5, **waits)(Fails().__call__))
    assert theirs == pauses(retries=5, retry_delay=0.001, retry_delay_max=0.005)


@row("wait_jitter")
def stamina_jitter() -> None:
    """Both draw from a range; ours begins at 0."""
    theirs: list[float] = []
    stamina.instrumentation.set_on_retry_hooks([lambda details: theirs.append(details.wait_for)])
    waits: dict[str, Any] = {"wait_initial": 0.001, "wait_max": 0.01, "wait_jitter": 0.005}
    caught(stamina.retry(on=Boom, attempts=4, **waits)(Fails().__call__))
    assert all(0.001 <= wait <= 0.01 for wait in theirs)
    slept: list[float] = []
    caller = ResilientCaller(sleep=slept.append)
    caught(lambda: caller.call(Fails(), options(retries=4, retry_delay=1.0)))
    assert all(0 <= wait <= 4 for wait in slept)


@row("on= a hook that returns seconds")
def stamina_backoff_hook() -> None:
    theirs: list[float] = []
    stamina.instrumentation.set_on_retry_hooks([lambda details: theirs.append(details.wait_for)])
    caught(stamina.retry(on=lambda error: 0.002, attempts=3)(Fails().__call__))
    assert theirs == pauses(retries=3, retry_pause=lambda state: 0.002) == [0.002] * 2


@row("RetryingCaller, AsyncRetryingCaller")
def stamina_callers() -> None:
    async def main() -> None:
        theirs, ours = Fails(2), Fails(2)

        async def them() -> str:
            return theirs()

        async def us() -> str:
            return ours()

        their = stamina.AsyncRetryingCaller(attempts=3, **QUICK)
        assert await their(Boom, them) == await ResilientCaller().acall(us, options())

    their = stamina.RetryingCaller(attempts=3, **QUICK)
    assert their(Boom, Fails(2), 7) == ResilientCaller().call(Fails(2), options(), 7)
    asyncio.run(main())


@row("for attempt in retry_context(...)")
def stamina_context() -> None:
    theirs = Fails(2)
    for attempt in stamina.retry_context(on=Boom, attempts=3, **QUICK):
        with attempt:
            answer = theirs()
    assert answer == ResilientCaller().call(Fails(2), options(retry_on=Boom)) == "answer"


@row("set_on_retry_hooks")
def stamina_hooks() -> None:
    theirs, ours = list[int](), list[int]()
    stamina.instrumentation.set_on_retry_hooks([lambda details: theirs.append(details.retry_num)])
    caught(stamina.retry(on=Boom, attempts=3, **QUICK)(Fails().__call__))
    caught(resilient(options(on_retry=lambda state: ours.append(state.attempt)))(Fails()))
    assert theirs == ours == [1, 2]


@row("set_testing(True, attempts=1, cap=False)")
def stamina_testing() -> None:
    for given in ({}, {"attempts": 2}, {"attempts": 9, "cap": True}, {"attempts": 2, "cap": True}):
        theirs, ours = Fails(), Fails()
        with stamina.set_testing(True, **given), ours_testing.set_testing(True, **given):  # type: ignore[arg-type]
            caught(stamina.retry(on=Boom, attempts=4, wait_initial=60)(theirs.__call__))
            caught(resilient(options(retries=4, retry_delay=60))(ours))
        assert theirs.made == ours.made
    assert not stamina.is_testing()
    assert not ours_testing.is_testing()


@row("set_active(False)")
def stamina_active() -> None:
    theirs, ours = Fails(), Fails()
    stamina.set_active(False)
    ours_testing.set_active(False)
    assert caught(stamina.retry(on=Boom, attempts=4)(theirs.__call__)) == "Boom"
    assert caught(resilient(options(retries=4, fallback=int))(ours)) == "Boom"
    assert (theirs.made, ours.made) == (1, 1)


@row("retries of generator functions")
def stamina_generators() -> None:
    def flaky() -> Callable[[], Iterator[int]]:
        began = 0

        def items() -> Iterator[int]:
            nonlocal began
            began += 1
            yield 1
            yield 2
            if began < 3:
                raise Boom
            yield 3

        return items

    them = stamina.retry(on=Boom, attempts=3, **QUICK)(flaky())
    us = resilient(options(retry_on=Boom))(flaky())
    assert list(them()) == list(us()) == [1, 2, 1, 2, 1, 2, 3]


@pytest.mark.parametrize("cell", row.cells)
def test_a_row_is_true(cell: str) -> None:
    assert cell in row.tests, "this row has no test"
    row.tests[cell]()


def test_no_test_is_of_a_row_that_is_gone() -> None:
    assert set(row.tests) == set(row.cells)
