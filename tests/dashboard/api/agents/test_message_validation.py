"""The gate's quick look takes nothing that the codec refuses, and keeps all of what it takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakers.protocol import messages as wire
from breakers.protocol.codec import JSON, MSGPACK
from dashboard.access.service_tokens import Grant
from dashboard.api.agents import message_validation
from dashboard.api.agents.message_intake import take
from dashboard.bus import sketches

pytestmark = pytest.mark.skipif(not sketches.COMPILED, reason="plain Python has no quick look")

GOLDEN = Path(__file__).parents[3] / "golden" / "wire"
EXAMPLES = [json.loads(path.read_text()) for path in sorted(GOLDEN.glob("*.json"))]
FROM_AGENTS = [each for each in EXAMPLES if each["from"] == "agent"]


def judged(data: bytes) -> wire.FromAgent | None:
    try:
        return MSGPACK.from_agent(data)
    except wire.WireError:
        return None


def report(**breaker: Any) -> dict[str, Any]:
    one = {"name": "db", "state": "closed", **breaker}
    return {
        "type": "report", "service": "shop", "instance": {"id": "i"}, "boot": "b", "seq": 1,
        "interval_s": 1.0, "breakers": [one],
    }  # fmt: skip


@pytest.mark.parametrize(
    "example", FROM_AGENTS, ids=lambda each: each.get("refused", {}).get("code", "taken")
)
def test_the_published_examples_are_judged_as_by_the_codec(example: dict[str, Any]) -> None:
    data = msgspec.msgpack.encode(example["message"])
    found, expected = message_validation.from_agent(data), judged(data)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert MSGPACK.from_agent(MSGPACK.encode(found)) == expected


WRONG = [
    {"name": ""}, {"name": "x" * 121}, {"name": "a\x00b"}, {"name": "a\nb"}, {"name": 1},
    {"cause": "x" * 501}, {"cause": "\x00"}, {"state": "ajar"}, {"since_s": -1.0},
    {"since_s": float("nan")}, {"counts": {"success": -1}}, {"counts": {"success": 2**41}},
    {"histogram": {"buckets": {999: 1}}}, {"histogram": {"buckets": {1: -1}}},
    {"histogram": {"buckets": {1: 0.5}}}, {"histogram": {"buckets": [1]}},
    {"histogram": {"buckets": {}, "sum_s": -1.0}}, {"in_flight": -1},
    {"transitions": [{}] * 65}, {"histogram": None},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_what_is_wrong_with_a_breaker_is_left_to_the_codec(wrong: dict[str, Any]) -> None:
    data = msgspec.msgpack.encode(report(**wrong))
    assert judged(data) is None
    assert message_validation.from_agent(data) is None


scalars = (
    st.none() | st.booleans() | st.integers(-(2**45), 2**45) | st.floats() | st.text(max_size=5)
)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
    st.integers(-200, 200) | st.text(max_size=5), inner, max_size=3), max_leaves=6)  # fmt: skip


@given(st.sampled_from([each.name for each in msgspec.structs.fields(wire.BreakerReport)]), values)
def test_it_never_takes_what_the_codec_refuses(field: str, value: Any) -> None:
    data = msgspec.msgpack.encode(report(**{field: value}))
    found = message_validation.from_agent(data)
    if found is not None:
        assert MSGPACK.from_agent(MSGPACK.encode(found)) == judged(data)


def test_texts_that_cannot_be_printed_and_are_allowed_pass_by_the_codec() -> None:
    odd = report(cause="two\nlines", name="übergabe")
    data = msgspec.msgpack.encode(odd)
    assert message_validation.from_agent(data) is None
    message, packed = take(MSGPACK, data, Grant("shop"))
    assert message == judged(data)
    assert MSGPACK.from_agent(packed) == message


def test_a_bucket_that_comes_twice_counts_once_as_in_json() -> None:
    plain = msgspec.msgpack.encode(report(histogram={"buckets": {1: 2}, "sum_s": 1.0}))
    twice = plain.replace(b"\x81\x01\x02", b"\x82\x01\x07\x01\x02")
    assert twice != plain
    message, packed = take(MSGPACK, twice, Grant("shop"))
    assert isinstance(message, wire.Report)
    assert message.breakers[0].histogram.buckets == {1: 2}
    assert MSGPACK.from_agent(packed) == message


def test_what_comes_as_json_leaves_as_messagepack() -> None:
    message, packed = take(JSON, json.dumps(report()).encode(), Grant("shop"))
    assert MSGPACK.from_agent(packed) == message


def test_what_comes_as_messagepack_leaves_as_it_is() -> None:
    data = msgspec.msgpack.encode(report(histogram={"buckets": {-3: 2, 1: 2}, "sum_s": 1.0}))
    message, packed = take(MSGPACK, data, Grant("shop"))
    assert packed is data
    assert isinstance(message, wire.Report)
    assert message.breakers[0].histogram.buckets == {-3: 2, 1: 2}
