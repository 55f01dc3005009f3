"""A conversation with `switchgear mcp`, held by a client of the protocol over stdin and stdout:
read-only unless it is started with --writes, whose acts are proposals that a person approves."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from tests.dashboard.api.agents.talking import report
from tests.examples.running import ROOT, http
from tests.security.conftest import Live

READING = {"status", "overrides", "audit", "preview"}


@pytest.fixture(scope="module")
def shop(live: Live) -> None:
    sent = report(1, "mcp", interval_s=300.0, breakers=[{"name": "mcp", "state": "closed"}])
    headers = {"Authorization": f"Bearer {live.service_token}"}
    http.post(f"{live.url}/api/v1/reports", json=sent, headers=headers).raise_for_status()


@asynccontextmanager
async def conversation(live: Live, role: str, *options: str) -> AsyncIterator[ClientSession]:
    env = {
        **os.environ,
        "SWITCHGEAR_URL": live.url,
        "SWITCHGEAR_API_TOKEN": live.tokens[role],
    }
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "breakers.cli", "mcp", *options], env=env, cwd=ROOT
    )
    async with (
        stdio_client(server) as (incoming, outgoing),
        ClientSession(incoming, outgoing) as session,
    ):
        await session.initialize()
        yield session


async def call(session: ClientSession, tool: str, **arguments: Any) -> Any:
    """What a tool answers, as JSON; an error as its text."""
    answer = await session.call_tool(tool, arguments)
    texts = [each.text for each in answer.content]  # type: ignore[union-attr]
    if answer.is_error:
        return " ".join(texts)
    found = [json.loads(each) for each in texts]
    return found[0] if len(found) == 1 else found


async def test_without_writes_there_is_no_tool_that_acts(live: Live, shop: None) -> None:
    async with conversation(live, "operator") as session:
        tools = {each.name for each in (await session.list_tools()).tools}
        assert tools == READING
        found = await call(session, "status", service="shop")
        assert "mcp" in json.dumps(found)
        seen = await call(session, "preview", service="shop", breaker="mcp")
        assert seen["breakers"] == 1
        refused = await call(session, "propose", service="shop", breaker="mcp")
        assert "propose" in str(refused)
    assert overrides(live) == []


async def test_with_writes_an_act_is_a_proposal_that_a_person_approves(
    live: Live, shop: None
) -> None:
    async with conversation(live, "operator", "--writes") as session:
        tools = {each.name for each in (await session.list_tools()).tools}
        assert tools == {*READING, "propose"}
        act = {"service": "shop", "breaker": "mcp", "state": "forced_open", "reason": "by a model"}
        answer = await call(session, "propose", **act)
    assert "second person" in answer["pending"]
    # Nothing was done yet, and whoever let the model in cannot approve it alone.
    assert overrides(live) == []
    path = f"{live.url}/api/v1/approvals/{answer['id']}"
    for decision in ("approve", "break_glass"):
        own = http.post(path, json={"decision": decision}, headers=bearer(live, "operator"))
        assert own.status_code in (403, 422), own.text
    assert overrides(live) == []
    other = http.post(path, json={"decision": "approve"}, headers=bearer(live, "admin"))
    assert other.status_code == 200, other.text
    ((state, reason),) = overrides(live)
    assert (state, reason) == ("forced_open", "by a model")


async def test_a_viewers_server_cannot_propose(live: Live, shop: None) -> None:
    async with conversation(live, "viewer", "--writes") as session:
        act = {"service": "shop", "breaker": "mcp", "state": "forced_open", "reason": "r"}
        assert "may not" in str(await call(session, "propose", **act))


def bearer(live: Live, role: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {live.tokens[role]}"}


def overrides(live: Live) -> list[tuple[str, str]]:
    """The overrides of the breaker that stand."""
    found = http.get(f"{live.url}/api/v1/overrides?service=shop", headers=bearer(live, "admin"))
    rows = found.json()["items"]
    return [(each["state"], each["reason"]) for each in rows if each["breaker"] == "mcp"]
