"""The compiled gate and its twin in plain Python: one behaviour.

tests/breakers/test_pure_python.py runs this suite over the twin too.
"""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import weakref
from array import array
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakers import CircuitBreaker
from breakers.circuit import admission, admission_plain
from breakers.circuit.histogram import HIGHEST, LOWEST, Histogram, bucket_bounds, bucket_index

HERE = Path(__file__).parent
compiled = pytest.importorskip("breakers.circuit._admission") if admission.COMPILED else None


def _modules() -> list[Any]:
    return [pytest.param(admission_plain, id="python")] + (
        [pytest.param(compiled, id="compiled")] if compiled else []
    )


def test_whoever_asks_for_plain_python_gets_it() -> None:
    code = "from breakers.circuit import admission; assert not admission.COMPILED"
    subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "SWITCHGEAR_PURE": "1"}, check=True
    )


@pytest.mark.skipif(not compiled, reason="there is no build that could be old")
def test_a_build_that_is_older_than_its_source_is_left_alone(tmp_path: Path) -> None:
    shutil.copytree(HERE.parents[2] / "breakers", tmp_path / "breakers")
    code = (
        "from breakers import CircuitBreaker; from breakers.circuit import admission; "
        "CircuitBreaker().call(int); print(admission.COMPILED)"
    )
    run = [sys.executable, "-c", code]
    said = []
    for text in ("", "/* changed since */"):
        with (tmp_path / "breakers" / "circuit" / "_admission.c").open("a") as source:
            source.write(text)
        done = subprocess.run(run, cwd=tmp_path, check=True, capture_output=True, text=True)
        said.append(done.stdout.strip())
    assert said == ["True", "False"]


def test_where_there_is_a_compiler_the_breakers_are_compiled() -> None:
    asked_for_python = bool(os.environ.get("SWITCHGEAR_PURE"))
    built = list((HERE.parents[2] / "breakers" / "circuit").glob("_admission.*.so"))
    assert (bool(built) and not asked_for_python) == admission.COMPILED


@pytest.mark.parametrize("module", _modules())
class TestCountLatencies:
    @given(
        latencies=st.lists(st.floats(min_value=-1.0, max_value=1e6)),
        first=st.integers(LOWEST, HIGHEST),
        size=st.integers(0, 40),
    )
    def test_each_latency_is_in_its_bucket_or_handed_back(
        self, module: ModuleType, latencies: list[float], first: int, size: int
    ) -> None:
        counts = array("Q", bytes(8 * size))
        beyond = module.count_latencies(counts, first, latencies) or []
        expected = [0] * size
        for seconds in latencies:
            at = bucket_index(seconds) - first
            if 0 <= at < size:
                expected[at] += 1
        assert list(counts) == expected
        assert sum(counts) + len(beyond) == len(latencies)

    @pytest.mark.parametrize("index", [LOWEST + 1, -80, -1, 0, 1, 80, HIGHEST - 1])
    def test_a_bound_parts_two_buckets(self, module: ModuleType, index: int) -> None:
        counts = array("Q", bytes(8 * 3))
        upper = bucket_bounds(index)[1]
        assert (
            module.count_latencies(counts, index - 1, [upper * (1 - 1e-12), upper * (1 + 1e-12)])
            is None
        )
        assert list(counts) == [0, 1, 1]


@pytest.mark.parametrize("module", _modules())
def test_what_waits_is_taken_once(module: ModuleType) -> None:
    ticket, sketch = module.Ticket(1.0, 2.0, 3), Histogram()
    assert (ticket.plain_below, ticket.edge, ticket.batch, ticket.is_full) == (1.0, 2.0, 3, False)
    assert (ticket.pour(sketch), sketch.count) == (0, 0)
    ticket.renew(4.0, 5)
    assert (ticket.edge, ticket.batch) == (4.0, 5)
    with pytest.raises(TypeError):
        ticket.renew(4.0)


class TestMisuse:
    def test_leaving_needs_what_entering_gave(self) -> None:
        breaker = CircuitBreaker()
        with pytest.raises((TypeError, AttributeError)):
            breaker.leave(None, 0.0)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            breaker.leave()  # type: ignore[call-arg]
        with pytest.raises(TypeError):
            breaker.leave(*breaker.enter(), reason="none")  # type: ignore[call-arg]

    def test_calling_needs_a_function(self) -> None:
        with pytest.raises(TypeError):
            CircuitBreaker().call()  # type: ignore[call-arg]

    def test_an_error_keeps_its_traceback_and_its_cause(self) -> None:
        def broken() -> None:
            raise ValueError("here") from KeyError("there")

        with pytest.raises(ValueError, match="here") as caught:
            CircuitBreaker().call(broken)
        assert isinstance(caught.value.__cause__, KeyError)
        assert caught.traceback[-1].name == "broken"

    def test_a_rule_that_fails_is_heard_of(self) -> None:
        def rule(error: Exception) -> bool:
            raise RuntimeError("a bad rule")

        def broken() -> None:
            raise ValueError("here")

        with pytest.raises(RuntimeError, match="a bad rule") as caught:
            CircuitBreaker(record=rule).call(broken)
        assert isinstance(caught.value.__context__, ValueError)

    def test_keywords_reach_the_callee(self) -> None:
        def show(*args: int, **kwargs: int) -> tuple[Any, Any]:
            return args, kwargs

        assert CircuitBreaker().call(show, 1, 2, func=3, self=4) == (
            (1, 2),
            {"func": 3, "self": 4},
        )


def test_a_breaker_is_collected_with_what_refers_to_it() -> None:
    breaker = CircuitBreaker()
    breaker.add_listener(lambda record, held=breaker: None)  # type: ignore[misc]
    gone = weakref.ref(breaker)
    del breaker
    gc.collect()
    assert gone() is None


def test_a_sketch_grows_to_what_it_is_shown() -> None:
    sketch = Histogram()
    sketch.record_many([0.001, 1e9, 0.0, 1.0])
    assert sketch.buckets == {bucket_index(0.001): 1, HIGHEST: 1, LOWEST: 1, bucket_index(1.0): 1}
    assert sketch.count == 4
