"""Sketches as they travel are summed and checked without being unpacked: compiled and in plain
Python the same."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakers.circuit.histogram import HIGHEST, LOWEST
from dashboard.bus import sketches, sketches_plain

COMPILED = pytest.importorskip("dashboard.bus._sketches") if sketches.COMPILED else None
MOST = 2**40

Merge = Callable[[list[Any]], dict[int, int]]
MERGES = [pytest.param(sketches_plain.merged, id="python")] + (
    [pytest.param(COMPILED.merged, id="compiled")] if COMPILED else []
)
encode = msgspec.msgpack.encode
buckets = st.dictionaries(st.integers(LOWEST, HIGHEST), st.integers(0, MOST), max_size=40)


def test_where_there_is_a_compiler_sketches_are_compiled() -> None:
    asked_for_python = bool(os.environ.get("SWITCHGEAR_PURE"))
    built = list(Path(sketches.__file__).parent.glob("_sketches.*.so"))
    assert (bool(built) and not asked_for_python) == sketches.COMPILED


def test_whoever_asks_for_plain_python_gets_it() -> None:
    code = "from dashboard.bus import sketches; assert not sketches.COMPILED"
    environment = {**os.environ, "SWITCHGEAR_PURE": "1"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


@pytest.mark.parametrize("merged", MERGES)
class TestMerged:
    @given(st.lists(st.tuples(buckets, st.booleans()), max_size=8))
    def test_sums_whatever_shape_each_comes_in(
        self, merged: Merge, some: list[tuple[dict[int, int], bool]]
    ) -> None:
        expected: Counter[int] = Counter()
        for each, _ in some:
            expected.update(each)
        given_as = [encode(each) if packed else each for each, packed in some]
        sums = merged(given_as)
        assert sums == {index: n for index, n in expected.items() if n}
        assert list(sums) == sorted(sums)

    def test_takes_what_a_decoder_left_as_it_was(self, merged: Merge) -> None:
        raw = msgspec.msgpack.decode(encode({-160: 1, 136: 2}), type=msgspec.Raw)
        assert merged([raw, raw]) == {-160: 2, 136: 4}

    @pytest.mark.parametrize("value", [0, 127, 128, 255, 256, 65_535, 65_536, 2**32, MOST])
    def test_reads_integers_of_every_length(self, merged: Merge, value: int) -> None:
        assert merged([encode({5: value})]) == ({5: value} if value else {})

    @pytest.mark.parametrize("prefix", ["d0d8", "d1ffd8", "d2ffffffd8", "d3ffffffffffffffd8"])
    def test_reads_an_index_however_long_it_was_written(self, merged: Merge, prefix: str) -> None:
        assert merged([bytes.fromhex(f"81{prefix}03")]) == {-40: 3}

    @pytest.mark.parametrize(
        "wrong",
        [b"", b"\x81", b"\x81\x01", b"\x80\x80", encode([1]), encode({1: 1.0}), encode({"1": 1}),
         encode({HIGHEST + 1: 1}), encode({LOWEST - 1: 1}), encode({1: -1}), encode({1: MOST + 1}),
         encode({1: 2**64 - 1}), b"\xdf\xff\xff\xff\xff\x01\x01", b"\xde\xff"],
        ids=repr,
    )  # fmt: skip
    def test_what_is_not_a_sketch_is_an_error(self, merged: Merge, wrong: bytes) -> None:
        with pytest.raises(ValueError):
            merged([encode({1: 1}), wrong])

    def test_a_hundred_thousand_of_the_largest_counts_do_not_overflow(self, merged: Merge) -> None:
        assert merged([encode({HIGHEST: MOST})] * 100_000) == {HIGHEST: 100_000 * MOST}


@pytest.mark.skipif(not COMPILED, reason="plain Python is never sure")
class TestAreSound:
    @given(buckets)
    def test_a_map_in_order_is_sound(self, each: Mapping[int, int]) -> None:
        assert sketches.are_sound([encode(dict(sorted(each.items())))])

    @given(st.binary(max_size=60))
    def test_nothing_is_sound_that_is_not_a_sketch(self, garbage: bytes) -> None:
        if sketches.are_sound([garbage]):
            assert isinstance(sketches.unpacked(garbage), dict)

    def test_a_bucket_that_comes_twice_is_for_the_codec_to_judge(self) -> None:
        assert not sketches.are_sound([b"\x82\x01\x02\x01\x03"])
        assert not sketches.are_sound([b"\x82\x02\x02\x01\x03"])

    def test_one_that_is_not_sound_spoils_all(self) -> None:
        assert not sketches.are_sound([encode({1: 1}), b"\xc0"])


def test_plain_python_is_never_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sketches, "COMPILED", False)
    assert not sketches.are_sound([encode({1: 1})])
