"""The published schema agrees with the codec about the golden examples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from breakers.protocol import messages as wire
from breakers.protocol import schema
from breakers.protocol.codec import JSON
from tests.breakers.protocol.test_messages import BAD, GOOD, read

WHOLE = schema.json_schema()
FROM = {"agent": "#/$defs/FromAgent", "server": "#/$defs/FromServer"}


def errors(sender: str, message: Any) -> list[str]:
    side = {"$schema": WHOLE["$schema"], "$ref": FROM[sender], "$defs": WHOLE["$defs"]}
    return [error.message for error in Draft202012Validator(side).iter_errors(message)]


def test_it_is_a_json_schema() -> None:
    Draft202012Validator.check_schema(WHOLE)


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_good_examples_fit(path: Path) -> None:
    example = read(path)
    assert errors(example["from"], example["message"]) == []
    assert Draft202012Validator(WHOLE).is_valid(example["message"])


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad_examples_do_not(path: Path) -> None:
    example = read(path)
    assert errors(example["from"], example["message"])


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_what_the_other_side_says_does_not_fit(path: Path) -> None:
    example = read(path)
    other = "server" if example["from"] == "agent" else "agent"
    assert errors(other, example["message"])


def test_fields_to_come_are_allowed() -> None:
    assert errors("server", {"type": "received", "boot": "b", "seq": 1, "of_version_2": True}) == []


names_of_buckets = st.integers(-200, 200).map(str) | st.text("0123456789-+ .", max_size=4)


@given(st.dictionaries(names_of_buckets, st.integers(-1, 3), max_size=4))
def test_buckets_that_the_codec_takes_fit(buckets: dict[str, int]) -> None:
    breaker = {"name": "p", "state": "open", "histogram": {"buckets": buckets}}
    message = {
        "type": "report",
        "service": "s",
        "instance": {"id": "i"},
        "boot": "b",
        "seq": 1,
        "interval_s": 1,
        "breakers": [breaker],
    }
    try:
        JSON.from_agent(msgspec.json.encode(message))
    except wire.WireError:
        return
    assert errors("agent", message) == []


def test_every_message_is_described() -> None:
    for name, struct in WHOLE["$defs"].items():
        assert len(struct["description"]) > 10, name
        assert "    " not in struct["description"], name
