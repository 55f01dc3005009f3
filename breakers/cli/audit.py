"""`switchgear audit`: search the audit trail, and verify it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from breakers.cli import exit_codes
from breakers.cli.application import Context, main, pass_context
from breakers.cli.client import CliError

_ANCHOR = re.compile(r"\d+:[0-9a-f]{64}:[A-Za-z0-9_-]{86}")


@main.group()
def audit() -> None:
    """Search and verify the audit trail."""


@audit.command("list")
@click.option("--by")
@click.option("--act")
@click.option("--service")
@click.option("--search", "q")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@pass_context
def list_entries(context: Context, /, limit: int, **filters: str | None) -> None:
    """List entries, newest first."""
    context.show(list(context.client.pages("/audit", limit, **filters)), _render)


@audit.command()
@click.option("--anchor", "anchors", multiple=True, help="A head that was kept elsewhere.")
@click.option("--log", "logs", multiple=True, type=click.Path(exists=True, path_type=Path))
@pass_context
def verify(context: Context, anchors: tuple[str, ...], logs: tuple[Path, ...]) -> None:
    """Verify the chain and its time stamps, and that it contains the heads of --anchor and of the
    files --log."""
    kept = set(anchors)
    for file in logs:
        kept |= set(_ANCHOR.findall(file.read_text(errors="replace")))
    found = context.client.write("POST", "/audit/verify", {"anchors": sorted(kept)})
    context.show(found, _render_verified)
    if found["findings"]:
        raise CliError(f"{len(found['findings'])} problems", exit_codes.FAILED)


def _render(console: Console, entries: list[dict[str, Any]]) -> None:
    for each in entries:
        where = "/".join(filter(None, (each["service"], each["breaker"])))
        reason = f": {each['reason']}" if each["reason"] else ""
        line = (
            f"{each['number']:>6}  {each['at'][:19]}  {each['by']}  {each['act']}  {where}{reason}"
        )
        console.print(Text(line))


def _render_verified(console: Console, found: dict[str, Any]) -> None:
    for each in found["findings"]:
        console.print(Text(f"row {each['number']}: {each['problem']}", style="red"))
    console.print(Text(f"{found['rows']} rows; head {found['head']}"))
    # A server of an older version tells of none.
    stamps = found.get("time_stamps")
    if stamps and stamps["count"]:
        checked = "" if stamps["signatures"] else "; signatures not verified: the server has no CA"
        last = f"the last of row {stamps['number']} at {stamps['at'][:19]}"
        console.print(Text(f"{stamps['count']} time stamps, {last}{checked}"))
