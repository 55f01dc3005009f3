"""`switchgear marker`: deploys and other events, drawn on charts and the timeline."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from breakers.cli.application import Context, main, pass_context


@main.group()
def marker() -> None:
    """Add and list markers, such as deploys."""


@marker.command("add")
@click.argument("text")
@click.option("--service", default="", help="The service that it is about.")
@click.option("--version", default="")
@click.option("--kind", default="deploy", show_default=True)
@click.option("--url", default="", help="Where to read more.")
@click.option("--key", default="", help="The same key again adds nothing.")
@pass_context
def add(context: Context, /, **given: str) -> None:
    """Add a marker at this moment."""
    made = context.client.write("POST", "/markers", given)
    context.show(made, lambda console, data: console.print(f"Added marker {data['id']}."))


@marker.command("list")
@click.option("--service", default="")
@click.option("--hours", default=24.0, show_default=True)
@pass_context
def list_markers(context: Context, service: str, hours: float) -> None:
    """List the latest markers."""
    found = context.client.get("/markers", service=service, hours=hours)["items"]
    context.show(found, _render)


def _render(console: Console, markers: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("AT", "KIND", "SERVICE", "VERSION", "TEXT"):
        table.add_column(heading)
    for each in markers:
        row = (each["at"][:19], each["kind"], each["service"], each["version"], each["text"])
        table.add_row(*map(Text, row))
    console.print(table)
