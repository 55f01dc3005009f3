"""What is published of the protocol is what the gate does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from breakers.protocol import messages as wire
from breakers.protocol import schema
from breakers.protocol.codec import CODECS
from breakers.protocol.paths import ACKS, REPORTS
from dashboard.api.agents import published_schema
from dashboard.api.agents.app import AgentApi
from dashboard.api.agents.error_replies import CLOSE_CODES, STATUS
from dashboard.fleet.snapshot.process import fleet_snapshot
from tests.breakers.protocol.test_messages import GOOD, read
from tests.dashboard.api.agents.talking import post, report
from tests.dashboard.child_process import Dashboard
from tests.examples.running import http

ROOT = Path(__file__).parents[4]
OPENAPI = published_schema.openapi()
ASYNCAPI = published_schema.asyncapi()


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for each in part.values():
            yield from references(each)
    elif isinstance(part, list):
        for each in part:
            yield from references(each)


def follow(document: Any, reference: str) -> Any:
    for step in reference.removeprefix("#/").split("/"):
        document = document[step]
    return document


@pytest.mark.parametrize("document", [OPENAPI, ASYNCAPI], ids=["openapi", "asyncapi"])
def test_every_reference_leads_to_something(document: dict[str, Any]) -> None:
    found = set(references(document))
    assert found
    for reference in found:
        assert follow(document, reference)
    for name, struct in document["components"]["schemas"].items():
        Draft202012Validator.check_schema(struct)
        assert struct["description"], name


def test_the_addresses_are_the_gates() -> None:
    agent_api = AgentApi(fleet_snapshot())
    for path in OPENAPI["paths"]:
        assert agent_api.takes({"type": "http", "path": path})
    (channel,) = ASYNCAPI["channels"].values()
    assert agent_api.takes({"type": "websocket", "path": channel["address"]})


def test_every_refusal_of_the_gate_is_published() -> None:
    for path in (REPORTS, ACKS):
        answers = OPENAPI["paths"][path]["post"]["responses"]
        assert set(map(str, STATUS.values())) < answers.keys()
    (channel,) = ASYNCAPI["channels"].values()
    assert set(map(str, CLOSE_CODES.values())) < channel["x-close-codes"].keys()


def test_the_socket_carries_every_message_in_the_right_direction() -> None:
    directions = {
        follow(ASYNCAPI, follow(ASYNCAPI, each["$ref"])["$ref"])["title"]: operation["action"]
        for operation in ASYNCAPI["operations"].values()
        for each in operation["messages"]
    }
    assert directions == {kind.__name__: "receive" for kind in schema.FROM_AGENT} | {
        kind.__name__: "send" for kind in schema.FROM_SERVER
    }
    (channel,) = ASYNCAPI["channels"].values()
    headers = channel["bindings"]["ws"]["headers"]["properties"]
    assert headers["Sec-WebSocket-Protocol"]["enum"] == [codec.subprotocol for codec in CODECS]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/schema.json", schema.json_schema()),
        ("/api/v1/openapi.json", OPENAPI),
        ("/api/v1/asyncapi.json", ASYNCAPI),
    ],
)
def test_they_are_served_to_anybody(
    dashboard: Dashboard, path: str, expected: dict[str, Any]
) -> None:
    answer = httpx.get(dashboard.url + path, trust_env=False)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == json.loads(json.dumps(expected))
    assert http.head(dashboard.url + path).headers["content-length"] == str(len(answer.content))
    assert http.post(dashboard.url + path).status_code == 405


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (report(1, "published"), {}),
        (report(seq=0), {}),
        (report(v=7), {}),
        (report(service="bank"), {}),
        (report(), {"Authorization": "Bearer nonsense"}),
        (report(), {"Content_Type": "text/plain"}),
        (report(), {"Content_Encoding": "zstd"}),
        (b"no gzip", {"Content_Encoding": "gzip"}),
        (b" " * (wire.MAX_MESSAGE_BYTES + 1), {}),
    ],
)
def test_answers_are_as_published(
    dashboard: Dashboard, token: str, body: Any, headers: dict[str, str]
) -> None:
    answer = post(dashboard, token, body, **headers)
    counters = OPENAPI["paths"]["/api/v1/reports"]["post"]["responses"][str(answer.status_code)]
    content = counters["content"][answer.headers["content-type"]]["schema"]
    whole = {**content, "components": OPENAPI["components"]}
    assert [each.message for each in Draft202012Validator(whole).iter_errors(answer.json())] == []
    for name, header in counters.get("headers", {}).items():
        assert not header.get("required") or name in answer.headers


def test_an_unknown_encoding_is_told_the_known_one(dashboard: Dashboard, token: str) -> None:
    answer = post(dashboard, token, report(), Content_Encoding="zstd")
    assert answer.headers["accept-encoding"] == "gzip"
    assert "gzip" in answer.json()["message"]


PAGE = (ROOT / "docs/protocol.md").read_text()


def test_the_examples_on_the_page_are_golden() -> None:
    golden = [read(path)["message"] for path in GOOD]
    shown = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.S)]
    assert {each["type"] for each in shown} == {each["type"] for each in golden}
    for each in shown:
        assert each in golden


def test_the_codes_on_the_page_are_the_gates() -> None:
    for code, status in STATUS.items():
        (row,) = re.findall(rf"^\|[^|]*`{code}`[^|]*\|(.*)$", PAGE, re.M)
        assert str(status) in row
        assert code not in CLOSE_CODES or str(CLOSE_CODES[code]) in row
