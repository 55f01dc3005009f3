"""Faults that only an extension can have: references, lost errors, interpreters."""

from __future__ import annotations

import subprocess
import sys
from array import array

import pytest

from breakers import CircuitBreaker
from breakers.circuit.admission import COMPILED, Ticket, count_latencies
from breakers.testing import FakeClock

compiled = pytest.mark.skipif(not COMPILED, reason="the extension is not built")


@compiled
def test_it_refuses_to_load_outside_the_main_interpreter() -> None:
    code = """
import breakers.circuit.admission as main
import _xxsubinterpreters as interpreters
import os, sys
sys.path[0] = os.getcwd()
assert main.COMPILED
for _ in range(2):
    interpreters.run_string(
        interpreters.create(),
        f"import sys; sys.path[:] = {sys.path!r}\\n"
        "import breakers, breakers.circuit.admission as a\\n"
        "assert not a.COMPILED\\n"
        "b = breakers.CircuitBreaker(1)\\n"
        "b.set_override('forced_open')\\n"
        "try: b.call(int)\\n"
        "except breakers.CircuitForcedOpen: pass",
    )
"""
    pytest.importorskip("_xxsubinterpreters")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@compiled
def test_a_latency_may_empty_the_list_it_is_in() -> None:
    latencies: list[object] = []

    class Emptying:
        def __float__(self) -> float:
            latencies.clear()
            return 1.0

    latencies += [Emptying(), Emptying()]
    counts = array("Q", [0] * 8)
    assert count_latencies(counts, -4, latencies) is None  # type: ignore[arg-type]
    assert sum(counts) == 1


@compiled
def test_a_clock_may_replace_itself_while_it_is_read() -> None:
    breaker = CircuitBreaker(registry=None)
    later = FakeClock().monotonic

    def install() -> None:
        class Clock:
            def __call__(self) -> float:
                breaker._now = later
                return later()

        breaker._now = Clock()

    install()
    assert breaker.call(int) == 0


@pytest.mark.parametrize("way", ["call", "enter"])
def test_a_clock_that_fails_counts_nothing(way: str) -> None:
    breaker = CircuitBreaker(registry=None)

    def broken() -> float:
        raise RuntimeError("no clock")

    usual, breaker._now = breaker._now, broken
    with pytest.raises(RuntimeError, match="no clock"):
        breaker.call(int) if way == "call" else breaker.enter()
    breaker._now = usual
    assert breaker.snapshot().in_flight == 0


def test_counts_stay_when_merging_them_fails() -> None:
    breaker = CircuitBreaker(registry=None)
    for _ in range(3):
        breaker.call(int)
    ticket = breaker._ticket
    assert isinstance(ticket, Ticket)

    class Broken:
        def merge(self, *_: object) -> None:
            raise MemoryError

        record_many = merge

    for _ in range(2):
        with pytest.raises(MemoryError):
            ticket.pour(Broken())  # type: ignore[arg-type]
    assert breaker.snapshot().counts["success"] == 3


def test_the_context_of_an_error_that_replaces_another_is_kept() -> None:
    def mapped(error: Exception) -> Exception:
        try:
            raise LookupError("inner")
        except LookupError as inner:
            other = ValueError("mapped")
            other.__context__ = inner
            return other

    breaker = CircuitBreaker(registry=None, map_errors={OSError: mapped})

    def fail() -> None:
        raise OSError("down")

    with pytest.raises(ValueError, match="mapped") as caught:
        breaker.call(fail)
    assert isinstance(caught.value.__cause__, OSError)
    assert isinstance(caught.value.__context__, OSError)
