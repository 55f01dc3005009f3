"""One script through two breakers: what a user of either sees of each call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from breakers import CircuitBreaker
from breakers.testing import FakeClock


class Boom(Exception):
    pass


class Odd(Exception):
    """An error that says nothing about the callee."""


def in_a_thread(act: Callable[[], str]) -> str:
    """Run an act in a thread of its own: another caller, no part of the present call."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(act).result()


def answer() -> str:
    return "answer"


def boom() -> str:
    raise Boom


def odd() -> str:
    raise Odd


async def aanswer() -> str:
    return "answer"


async def aboom() -> str:
    raise Boom


SCRIPT: dict[str, Callable[[], str]] = {".": answer, "x": boom, "o": odd}
ASCRIPT: dict[str, Callable[[], Awaitable[str]]] = {".": aanswer, "x": aboom}


def drive(call: Callable[[Callable[[], str]], Any], script: str) -> str:
    """Each letter is a call: `.` answers, `x` fails, `o` raises an odd error. So are the letters of
    what its caller saw; `-` is a refusal."""
    return "".join(_outcome_of(call, SCRIPT[letter]) for letter in script)


def _outcome_of(call: Callable[[Callable[[], str]], Any], func: Callable[[], str]) -> str:
    asked: list[int] = []

    def counting() -> str:
        asked.append(1)
        return func()

    try:
        call(counting)
    except Exception as error:
        return _letter(error, asked)
    return "."


async def adrive(
    call: Callable[[Callable[[], Awaitable[str]]], Awaitable[Any]], script: str
) -> str:
    """`drive` for coroutines."""
    seen = ""
    for letter in script:
        asked: list[int] = []

        async def counting(asked: list[int] = asked, letter: str = letter) -> str:
            asked.append(1)
            return await ASCRIPT[letter]()

        try:
            await call(counting)
        except Exception as error:
            seen += _letter(error, asked)
        else:
            seen += "."
    return seen


def _letter(error: Exception, asked: list[int]) -> str:
    if not asked:
        return "-"
    return {Boom: "x", Odd: "o"}.get(type(error), "?")


class Time(FakeClock):
    """The one clock of both sides. Peers read the machine's; theirs is replaced where they do."""

    def __init__(self) -> None:
        super().__init__(monotonic=1000.0)

    def stop(self, monkeypatch: pytest.MonkeyPatch, module: str) -> None:
        """Make a peer's module read this clock, whichever of Python's it reads."""
        clock = self

        class Stopped(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:
                return datetime.fromtimestamp(clock.wall(), tz)

            @classmethod
            def utcnow(cls) -> datetime:
                return datetime.fromtimestamp(clock.wall(), UTC).replace(tzinfo=None)

        for name, stopped in (
            ("datetime", Stopped),
            ("monotonic", self.monotonic),
            ("time", SimpleNamespace(time=self.wall, monotonic=self.monotonic)),
        ):
            monkeypatch.setattr(f"{module}.{name}", stopped, raising=False)


def ours(clock: Time, **fields: Any) -> CircuitBreaker:
    """Ours, without jitter, so that both sides open and recover at the same moment."""
    return CircuitBreaker(clock=clock, open_jitter=0.0, **fields)
