"""Hedged calls, and several calls gathered under one deadline."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from breakers import (
    CallTimeout,
    IsolationExhausted,
    PolicyError,
    agather,
    gather,
    hedged,
    remaining,
)
from breakers.calls import gathering
from breakers.calls.isolation import IsolationPool


class Requests:
    """Answers, fails or hangs as its script says, one word for each time it is asked."""

    def __init__(self, *script: str) -> None:
        self.script = script
        self.asked = self.cancelled = 0

    async def __call__(self) -> int:
        self.asked += 1
        n = self.asked
        what = self.script[n - 1]
        if what == "fail":
            raise KeyError(n)
        if what == "hang":
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        return n


class TestHedged:
    async def test_a_prompt_answer_is_asked_for_once(self) -> None:
        service = Requests("answer")
        assert (await hedged(1.0, 3, service), service.asked) == (1, 1)

    async def test_a_late_answer_is_overtaken_and_cancelled(self) -> None:
        service = Requests("hang", "answer")
        assert await hedged(0.001, 3, service) == 2
        assert (service.asked, service.cancelled) == (2, 1)

    async def test_no_more_than_allowed_run_side_by_side(self) -> None:
        service = Requests("hang", "hang", "hang", "hang")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await hedged(0.001, 3, service)
        assert (service.asked, service.cancelled) == (3, 3)

    async def test_a_failure_is_followed_at_once(self) -> None:
        service = Requests("fail", "answer")
        assert await hedged(60.0, 2, service) == 2

    async def test_where_all_fail_the_first_error_is_raised(self) -> None:
        with pytest.raises(KeyError, match="1"):
            await hedged(60.0, 3, Requests("fail", "fail", "fail"))

    async def test_a_failure_waits_for_those_still_running(self) -> None:
        admission = asyncio.Event()
        asked: list[int] = []

        async def service() -> str:
            asked.append(len(asked))
            if len(asked) == 1:
                await admission.wait()
                return "first"
            admission.set()
            raise KeyError

        assert await hedged(0.001, 2, service) == "first"

    async def test_misuse_is_refused(self) -> None:
        with pytest.raises(PolicyError, match="delay is -1"):
            await hedged(-1, 2, Requests("answer"))
        with pytest.raises(PolicyError, match="attempts is 0"):
            await hedged(1, 0, Requests("answer"))


async def hang() -> None:
    await asyncio.sleep(60)


async def fail() -> None:
    raise KeyError("posts")


async def left() -> float | None:
    return remaining()


class TestAsyncGather:
    async def test_what_came_and_by_name_what_did_not(self) -> None:
        calls: dict[str, Callable[[], Awaitable[Any]]] = {
            "user": left,
            "posts": fail,
            "friends": hang,
        }
        gathered = await agather(calls, timeout=0.02)
        assert 0 < gathered.get("user") <= 0.02
        assert isinstance(gathered.errors["posts"], KeyError)
        assert gathered.missing == ("friends",)
        assert isinstance(gathered.errors["friends"], CallTimeout)
        assert gathered.get("friends", default=[]) == []
        assert not gathered.is_complete
        with pytest.raises(KeyError):
            gathered.get("nobody")

    async def test_a_cancellation_cancels_them_all(self) -> None:
        service = Requests("hang", "hang")
        whole = asyncio.create_task(agather({"a": service, "b": service}))
        await asyncio.sleep(0.01)
        whole.cancel()
        with pytest.raises(asyncio.CancelledError):
            await whole
        assert service.cancelled == 2

    async def test_one_that_cancels_itself_is_an_error_of_its_own(self) -> None:
        async def quit_early() -> None:
            raise asyncio.CancelledError

        gathered = await agather({"a": quit_early})
        assert isinstance(gathered.errors["a"], asyncio.CancelledError)

    async def test_nothing_to_do_is_done(self) -> None:
        assert (await agather({}, timeout=1.0)).is_complete


class TestGather:
    def test_what_came_and_by_name_what_did_not(self) -> None:
        never = threading.Event()

        def broken() -> None:
            raise KeyError("posts")

        gathered = gather({"user": remaining, "posts": broken, "friends": never.wait}, 0.05)
        never.set()
        assert 0 < gathered.get("user") <= 0.05
        assert isinstance(gathered.errors["posts"], KeyError)
        assert gathered.missing == ("friends",)

    def test_calls_that_never_return_strand_no_more_threads_than_the_pool_has(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(gathering, "isolation", IsolationPool(2))
        never = threading.Event()
        gathered = gather({str(n): never.wait for n in range(3)}, 0.02)
        assert gathered.missing == ("0", "1")
        assert isinstance(gathered.errors["2"], IsolationExhausted)
        never.set()

    def test_they_run_at_once(self) -> None:
        meeting = threading.Barrier(3)
        gathered = gather({str(n): lambda: meeting.wait(5) for n in range(3)})
        assert gathered.is_complete

    @pytest.mark.parametrize("timeout", [0, -1])
    def test_no_time_at_all_is_refused(self, timeout: float) -> None:
        with pytest.raises(PolicyError, match="timeout is"):
            gather({"a": int}, timeout)
