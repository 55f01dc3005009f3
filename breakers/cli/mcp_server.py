"""`switchgear mcp`: the same as a Model Context Protocol server on stdin and stdout.

Read-only unless started with --writes; then acts are proposals that a person approves on the page.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from breakers.cli import exit_codes
from breakers.cli.application import Context, main, pass_context
from breakers.cli.client import Client, CliError, segment

try:
    from mcp.server.mcpserver import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError
except ImportError:  # the extra is not installed
    MCPServer = None  # type: ignore[assignment,misc]


@main.command()
@click.option("--writes", is_flag=True, help="Offer acts, as proposals that a person approves.")
@pass_context
def mcp(context: Context, writes: bool) -> None:
    """Serve the fleet to a language model over the Model Context Protocol (stdio)."""
    if MCPServer is None:
        raise CliError("install the extra: pip install 'switchgear[cli]'", exit_codes.FAILED)
    build(context.client, writes).run("stdio")


def build(client: Client, writes: bool) -> Any:
    """The server with its tools."""
    server = MCPServer("switchgear")

    def tool(function: Callable[..., Any]) -> Callable[..., Any]:
        """Register a tool; an error of the API is told to the model, which can act on it."""

        @wraps(function)
        def answer(*arguments: Any, **named: Any) -> Any:
            try:
                return function(*arguments, **named)
            except CliError as error:
                raise ToolError(str(error)) from error

        server.tool()(answer)
        return answer

    @tool
    def status(service: str = "") -> list[dict[str, Any]]:
        """The state of every breaker, or of those of one service."""
        if service:
            return [client.get(f"/services/{segment(service)}")]
        return list(client.pages("/services"))

    @tool
    def overrides() -> list[dict[str, Any]]:
        """The overrides in force: by whom, until when, and how many instances confirmed."""
        return list(client.pages("/overrides"))

    @tool
    def audit(search: str = "", limit: int = 50) -> list[dict[str, Any]]:
        """The latest entries of the audit trail."""
        return list(client.pages("/audit", max(1, min(limit, 500)), q=search or None))

    @tool
    def preview(service: str, breaker: str, state: str = "forced_open") -> dict[str, Any]:
        """What an act on a breaker would do, without doing it."""
        targets = [{"service": service, "breaker": breaker}]
        found: dict[str, Any] = client.write(
            "POST", "/acts/preview", {"targets": targets, "state": state}
        )
        return found

    if writes:

        @tool
        def propose(
            service: str,
            breaker: str,
            state: str,
            reason: str,
            minutes: int = 30,
            share: float | None = None,
        ) -> dict[str, Any]:
            """Propose forced_open, forced_closed, metrics_only, forced_partial (with the share that
            passes, up to 1), reset or automatic for a breaker. A person approves or rejects it on
            the page Approvals."""
            body = {
                "targets": [{"service": service, "breaker": breaker}],
                "state": state,
                "reason": reason,
                "expires_in_s": minutes * 60,
                "id": str(uuid.uuid4()),
                "propose": True,
                "share": share,
            }
            found: dict[str, Any] = client.write("POST", "/acts", body)
            return found

    return server
