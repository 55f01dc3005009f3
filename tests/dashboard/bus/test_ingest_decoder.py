"""What the agents' API has checked decodes to the same, whoever decodes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from breakers.protocol import messages as wire
from breakers.protocol.codec import JSON, MSGPACK
from dashboard.bus import ingest_decoder

GOLDEN = Path(__file__).parents[2] / "golden" / "wire"
EXAMPLES = [json.loads(path.read_text()) for path in sorted(GOLDEN.glob("*.json"))]
# Recordings do not travel in the log: the agents' API stores them itself.
MESSAGES = [
    each["message"]
    for each in EXAMPLES
    if each["from"] == "agent" and "refused" not in each and each["message"]["type"] != "recording"
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message["type"])
def test_a_message_is_the_same_as_with_every_check(message: dict[str, Any]) -> None:
    checked = JSON.from_agent(json.dumps(message).encode())
    entry = msgspec.msgpack.encode([msgspec.Raw(MSGPACK.encode(checked))])
    (found,) = ingest_decoder.messages(entry)
    assert isinstance(found, type(checked))
    assert MSGPACK.from_agent(MSGPACK.encode(found)) == checked
    assert ingest_decoder.message(MSGPACK.encode(checked)) == found


def test_another_type_is_still_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        ingest_decoder.messages(msgspec.msgpack.encode([{"type": "desired", "revision": 1}]))
    report = msgspec.to_builtins(
        wire.Report(service="s", instance=wire.Instance("i"), boot="b", seq=1, interval_s=1.0)
    )
    with pytest.raises(msgspec.DecodeError):
        ingest_decoder.messages(msgspec.msgpack.encode([report | {"seq": "one"}]))
