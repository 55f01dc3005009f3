"""The golden examples, which every implementation of the protocol must agree with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from breakers.circuit import records
from breakers.protocol import messages as wire
from breakers.protocol.codec import CODECS, JSON, Codec

EXAMPLES = sorted(Path(__file__).parents[2].joinpath("golden", "wire").glob("*.json"))
GOOD = [path for path in EXAMPLES if not path.name.startswith("bad_")]
BAD = [path for path in EXAMPLES if path.name.startswith("bad_")]


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def decode(codec: Codec, sender: str, data: bytes) -> wire.FromAgent | wire.FromServer:
    return codec.from_agent(data) if sender == "agent" else codec.from_server(data)


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
def test_a_good_example_reads_and_writes_the_same(path: Path, codec: Codec) -> None:
    example = read(path)
    message = decode(JSON, example["from"], json.dumps(example["message"]).encode())
    assert decode(codec, example["from"], codec.encode(message)) == message
    # Everything the example says is said again; defaults may be said or left out.
    assert covers(msgspec.to_builtins(message, str_keys=True), example["message"])


def covers(said: Any, meant: Any) -> bool:
    if isinstance(meant, dict):
        return all(
            covers(said[key], value) if key in said else not value for key, value in meant.items()
        )
    if isinstance(meant, list):
        return len(said) == len(meant) and all(map(covers, said, meant))
    return bool(said == meant)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
def test_a_bad_example_is_refused_naming_the_field(path: Path, codec: Codec) -> None:
    example = read(path)
    encode = msgspec.json.encode if codec.is_text else msgspec.msgpack.encode
    with pytest.raises(wire.WireError) as caught:
        decode(codec, example["from"], encode(example["message"]))
    refused = caught.value.refused
    assert {"code": refused.code, "field": refused.field} == example["refused"]


def test_every_kind_of_message_has_an_example() -> None:
    kinds = {read(path)["message"]["type"] for path in GOOD}
    assert kinds == {"report", "ack", "recording", "desired", "received", "refused"}


def test_the_breakers_count_what_the_wire_carries() -> None:
    assert wire.Counts.__struct_fields__ == records.OUTCOMES


def test_unknown_fields_are_ignored() -> None:
    message = JSON.from_server(b'{"type":"received","boot":"b","seq":1,"of_version_2":true}')
    assert message == wire.Received("b", 1)
