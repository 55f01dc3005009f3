"""Arithmetic poison: counts that no interval can bring, and names that are repeated."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from breakers.protocol import messages as wire
from breakers.protocol.codec import JSON, MSGPACK
from dashboard.access.service_tokens import Grant
from dashboard.api.agents.message_intake import take


def report(*breakers: dict[str, Any], interval_s: float = 1.0) -> bytes:
    return msgspec.msgpack.encode(
        {
            "type": "report",
            "service": "shop",
            "instance": {"id": "i"},
            "boot": "b",
            "seq": 1,
            "interval_s": interval_s,
            "breakers": [{"state": "closed", **each} for each in breakers],
        }
    )


def refusal(data: bytes) -> wire.Refused:
    with pytest.raises(wire.WireError) as refused:
        take(MSGPACK, data, Grant("shop"))
    return refused.value.refused


def test_a_breaker_that_is_named_twice_is_refused() -> None:
    refused = refusal(report(*[{"name": "x", "counts": {"success": 1}}] * 1000))
    assert (refused.code, refused.field) == ("invalid", "$.breakers[1].name")
    assert "'x' is reported twice" in refused.message


@pytest.mark.parametrize("field", wire.Counts.__struct_fields__)
def test_a_count_beyond_the_interval_is_refused_by_field(field: str) -> None:
    refused = refusal(report({"name": "x"}, {"name": "y", "counts": {field: 2**40}}))
    assert refused.field == f"$.breakers[1].counts.{field}"
    assert "at most 1000000 are plausible" in refused.message


def test_a_sketch_beyond_the_interval_is_refused() -> None:
    for buckets in ({1: 2**40}, dict.fromkeys(range(17), 65535), {1: 1_000_001}):
        data = report({"name": "x", "histogram": {"buckets": buckets, "sum_s": 1.0}})
        if sum(buckets.values()) > 1_000_000 and max(buckets.values()) >= 65_536:
            assert refusal(data).field == "$.breakers[0].histogram"


def test_what_a_long_interval_can_bring_is_accepted() -> None:
    data = report({"name": "x", "counts": {"success": 50_000_000}}, interval_s=60.0)
    message, _ = take(MSGPACK, data, Grant("shop"))
    assert isinstance(message, wire.Report)
    assert message.breakers[0].counts.success == 50_000_000
    assert refusal(report({"name": "x", "counts": {"success": 60_000_001}}, interval_s=60.0))


def test_the_same_holds_for_json() -> None:
    body = msgspec.msgpack.decode(report({"name": "x", "counts": {"failure": 2**40}}))
    with pytest.raises(wire.WireError) as refused:
        take(JSON, msgspec.json.encode(body), "shop")
    assert refused.value.refused.field == "$.breakers[0].counts.failure"
