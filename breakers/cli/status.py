"""`switchgear status`: the state of every breaker, or of one service's."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from breakers.cli.application import Context, main, pass_context
from breakers.cli.client import segment

STYLES = {
    "closed": "green",
    "open": "bold red",
    "half_open": "yellow",
    "forced_open": "bold magenta",
    "forced_closed": "cyan",
    "metrics_only": "blue",
    "forced_partial": "bold yellow",
}


@main.command()
@click.argument("service", required=False)
@pass_context
def status(context: Context, service: str | None) -> None:
    """Show the state of every breaker, or of those of SERVICE."""
    client = context.client
    if service:
        found = [client.get(f"/services/{segment(service)}")]
    else:
        found = list(client.pages("/services"))
    context.show(found, render)


def state_text(state: str) -> Text:
    """A state in its colour."""
    return Text(state.replace("_", " "), style=STYLES.get(state, ""))


def render(console: Console, services: list[dict[str, Any]]) -> None:
    """A table of breakers."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("SERVICE", "BREAKER", "STATE", "CALLS/S", "INSTANCES", "OVERRIDE"):
        is_number = heading in ("CALLS/S", "INSTANCES")
        table.add_column(heading, justify="right" if is_number else "left", no_wrap=True)
    for service in services:
        for each in service["breakers"]:
            override = each["override"]
            by = f"by {override['by']}: {override['reason']}" if override else ""
            table.add_row(
                Text(service["name"]),
                Text(each["name"]),
                state_text(each["state"]),
                f"{each['rate']:.1f}",
                str(each["instances"]),
                Text(by),
            )
    console.print(table if table.row_count else "No breaker has reported.")
