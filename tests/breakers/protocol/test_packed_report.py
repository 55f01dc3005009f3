"""A report whose breakers are encoded already arrives as any other."""

from __future__ import annotations

import msgspec
import pytest

from breakers.protocol import messages as wire
from breakers.protocol.codec import JSON, MSGPACK, Codec

BREAKERS = [
    wire.BreakerReport(name="posts", state="open", cause="5 failures in a row"),
    wire.BreakerReport(name="users", state="closed"),
]


@pytest.mark.parametrize("codec", [MSGPACK, JSON], ids=lambda codec: codec.name)
@pytest.mark.parametrize("breakers", [[], BREAKERS], ids=["none", "two"])
def test_it_is_read_as_a_report(codec: Codec, breakers: list[wire.BreakerReport]) -> None:
    fields = {
        "service": "shop",
        "instance": wire.Instance("one"),
        "boot": "b",
        "seq": 3,
        "interval_s": 1.0,
        "age_s": 2.5,
        "revision": 7,
        "leaving": True,
    }
    packed = wire.PackedReport(breakers=msgspec.Raw(msgspec.msgpack.encode(breakers)), **fields)
    assert codec.from_agent(codec.encode(packed)) == wire.Report(breakers=breakers, **fields)
    assert packed.unpacked() == wire.Report(breakers=breakers, **fields)


def test_no_breakers_is_the_default() -> None:
    packed = wire.PackedReport("shop", wire.Instance("one"), "b", 1, 1.0)
    assert packed.unpacked() == wire.Report("shop", wire.Instance("one"), "b", 1, 1.0)
