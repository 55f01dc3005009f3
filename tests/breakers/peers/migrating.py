"""Shared by the tests of migrating.md: its rows, and functions that fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from breakers import CallOptions, ResilientCaller
from tests.breakers.peers.side_by_side import Boom

PAGE = Path(__file__).parents[3] / "docs/guide/migrating.md"
_HEAD = "|---|---|\n"
Test = Callable[[], object]


class Rows:
    """The rows of a section of the page, each with its test by the text of its first cell."""

    def __init__(self, section: str) -> None:
        self.tests: dict[str, Test] = {}
        text = PAGE.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
        table = text.split(_HEAD)[1].split("\n\n")[0]
        self.cells = [
            line.split(" | ")[0].removeprefix("| ").replace("`", "") for line in table.splitlines()
        ]

    def __call__(self, *cells: str) -> Callable[[Test], Test]:
        """Decorate the test of rows."""

        def put(test: Test) -> Test:
            for cell in cells:
                assert cell not in self.tests
                self.tests[cell] = test
            return test

        return put


class Fails:
    """Fails so many times, then answers; counts how often it is called."""

    def __init__(self, failures: int = 99, error: type[Exception] = Boom) -> None:
        self.failures, self.error, self.made = failures, error, 0

    def __call__(self, *args: Any) -> str:
        self.made += 1
        if self.made <= self.failures:
            raise self.error
        return "answer"


def options(**fields: Any) -> CallOptions:
    return CallOptions(**{"timeout": None, "retry_delay": 0.0, **fields})


def caught(call: Callable[[], Any]) -> str:
    """The name of the error that a call raises, or its result."""
    try:
        return str(call())
    except Exception as error:
        return type(error).__name__


def pauses(**fields: Any) -> list[float]:
    """The pauses of a call that always fails."""
    slept: list[float] = []
    caller = ResilientCaller(sleep=slept.append, random=lambda: 1.0)
    caught(lambda: caller.call(Fails(), options(**fields)))
    return slept
