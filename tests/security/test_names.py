"""Names: one rule on both sides. What is accepted can be shown, opened and operated."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote

import msgspec
import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from breakers.agent.config import AgentConfigError, read_config
from breakers.protocol import messages as wire
from breakers.protocol.codec import JSON, MSGPACK
from breakers.protocol.names import is_name, problem
from breakers.protocol.schema import definitions
from dashboard.access.people import keep_team

BAD = (
    "", ".", "..", " a", "a ", "a\n", "\na", "a\u200db", "a\u200bb", "a\u00a0b", "\u202eab",
    "a\u2028b", "a\u2066b", "a\ufeffb", "a\u00adb", "a\u3164b", "\u2800", "a\u2003b",
    "a\x00", "a\x7f", "a\x85b", "a\ufe0fb", "\u115f", "a\U000e0041b", "\ue000", "x" * 121,
)  # fmt: skip
GOOD = ("a", "...", "a.b", ".a", "profile-api", "größe", "支付", "a/b", "a b", "%2e%2e", "<b>")


def report(name: str) -> dict[str, Any]:
    return {
        "type": "report",
        "service": "shop",
        "instance": {"id": name},
        "boot": "b",
        "seq": 1,
        "interval_s": 1.0,
        "breakers": [{"name": name, "state": "closed"}],
    }


@pytest.mark.parametrize("name", BAD, ids=ascii)
@pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=lambda codec: codec.name)
def test_a_bad_name_is_refused_from_agents_with_the_rule(name: str, codec: Any) -> None:
    encode = msgspec.json.encode if codec is JSON else msgspec.msgpack.encode
    with pytest.raises(wire.WireError) as refused:
        codec.from_agent(encode(report(name)))
    assert refused.value.refused.field in ("$.instance.id", "$.breakers[0].name")
    assert "\\u" not in refused.value.refused.message


@pytest.mark.parametrize("name", BAD, ids=ascii)
def test_a_bad_name_is_refused_by_the_agent(name: str) -> None:
    assert not is_name(name)
    assert problem(name)
    if name.strip():
        with pytest.raises(AgentConfigError, match="SWITCHGEAR_SERVICE"):
            read_config(url="wss://dash", token="t" * 40, service=name, environ={})


@pytest.mark.parametrize("name", GOOD, ids=ascii)
def test_a_good_name_is_accepted_and_survives_an_address(name: str) -> None:
    assert is_name(name)
    assert problem(name) == ""
    JSON.from_agent(msgspec.json.encode(report(name)))
    once = unquote(quote(quote(name, safe=""), safe=""))
    assert "/" not in once
    assert unquote(once) == name


@given(st.text(max_size=130))
def test_both_sides_agree(name: str) -> None:
    try:
        JSON.from_agent(msgspec.json.encode(report(name)))
        accepted = True
    except (wire.WireError, UnicodeEncodeError):
        accepted = False
    assert accepted == is_name(name)


def test_the_published_schema_has_the_rule() -> None:
    name = definitions()["BreakerReport"]["properties"]["name"]
    assert name["maxLength"] == 120
    assert name["pattern"].startswith("^(?!")


def test_identifiers_hold_no_nul() -> None:
    """An acknowledgement with the id NUL closed the socket of another service."""
    ack = {
        "type": "ack",
        "service": "shop",
        "instance": "i",
        "revision": 1,
        "items": [{"kind": "override", "breaker": "b", "status": "applied", "id": "\0"}],
    }
    with pytest.raises(wire.WireError) as refused:
        MSGPACK.from_agent(msgspec.msgpack.encode(ack))
    assert refused.value.refused.field == "$.items[0].id"


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["a\u200db", "a\u00a0b", "\u202eabc", "a\n", ".", "..", ""])
def test_a_service_of_a_team_follows_the_same_rule(name: str) -> None:
    with pytest.raises(ValidationError) as refused:
        keep_team(None, "payments team", [name])
    assert "services" in refused.value.message_dict
    assert keep_team(None, "payments team", ["pay*", "支付"]).services.count() == 2
