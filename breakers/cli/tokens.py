"""`switchgear token`: personal tokens of the API."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from breakers.cli.application import Context, main, pass_context


@main.group()
def token() -> None:
    """Manage your personal tokens."""


@token.command("list")
@pass_context
def list_tokens(context: Context) -> None:
    """List your tokens."""
    context.show(list(context.client.pages("/tokens")), _render)


@token.command("create")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, default=["read"], show_default=True)
@click.option("--days", default=90, show_default=True, help="Until it expires.")
@pass_context
def create(context: Context, name: str, scopes: tuple[str, ...], days: int) -> None:
    """Create a token and print it; it is not shown again."""
    body = {"name": name, "scopes": list(scopes), "expires_in_days": days}
    made = context.client.write("POST", "/tokens", body)
    context.show(made, lambda console, data: click.echo(data["token"]))


@token.command("revoke")
@click.argument("id", type=int)
@pass_context
def revoke(context: Context, id: int) -> None:
    """Revoke a token by its id."""
    context.client.write("DELETE", f"/tokens/{id}")
    context.show({"revoked": id}, lambda console, data: console.print(f"Revoked token {id}."))


def _render(console: Console, tokens: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("ID", "NAME", "PREFIX", "SCOPES", "EXPIRES", "LAST USED"):
        table.add_column(heading)
    for each in tokens:
        ends = "revoked" if each["revoked"] else each["expires"][:10]
        used = (each["last_used"] or "never")[:16]
        row = (str(each["id"]), each["name"], each["prefix"], " ".join(each["scopes"]), ends, used)
        table.add_row(*map(Text, row))
    console.print(table)
