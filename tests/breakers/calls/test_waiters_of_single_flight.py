"""Callers that wait for the call of another one."""

from __future__ import annotations

import asyncio
import threading

import pytest

from breakers import (
    CallTimeout,
)
from breakers.calls.single_flight import SingleFlight
from breakers.deadline import bounded


class TestSingleFlight:
    def crowd(
        self, flights: SingleFlight, error: type[BaseException]
    ) -> tuple[list[str], list[str]]:
        """Two who ask at once; the first is met by `error`."""
        arrived, go = threading.Event(), threading.Event()
        asked: list[str] = []
        ended: list[str] = []

        def service() -> str:
            asked.append("asked")
            arrived.set()
            assert go.wait(5)
            if len(asked) == 1:
                raise error
            return "answer"

        def come() -> None:
            try:
                ended.append(flights.run("k", service))
            except BaseException as met:
                ended.append(type(met).__name__)

        first, second = threading.Thread(target=come), threading.Thread(target=come)
        first.start()
        assert arrived.wait(5)
        flight = flights._flights["k"]
        second.start()
        while not flight.done._cond._waiters:  # type: ignore[attr-defined]
            pass
        go.set()
        first.join(5)
        second.join(5)
        return asked, ended

    def test_threads_that_wait_get_the_failure_too(self) -> None:
        asked, ended = self.crowd(SingleFlight(), KeyError)
        assert (asked, ended) == (["asked"], ["KeyError", "KeyError"])

    def test_where_the_one_who_asks_is_interrupted_the_next_asks(self) -> None:
        asked, ended = self.crowd(SingleFlight(), SystemExit)
        assert len(asked) == 2
        assert sorted(ended) == ["SystemExit", "answer"]

    async def test_no_coroutine_waits_for_another_beyond_its_deadline(self) -> None:
        flights = SingleFlight()
        leader = asyncio.create_task(flights.arun("k", asyncio.Event().wait))
        await asyncio.sleep(0)
        with pytest.raises(CallTimeout), bounded(0.02):
            await flights.arun("k", asyncio.Event().wait)
        leader.cancel()
