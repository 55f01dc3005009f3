"""`switchgear alerts`: rules, routes and silences as a file; and the channels of messages."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from breakers.cli.application import Context, main, pass_context
from breakers.cli.client import segment
from breakers.cli.documents import FILE, export_document, json_values, load
from breakers.cli.tables import line, table


@main.group()
def alerts() -> None:
    """Alert rules, routes and silences as code."""


@alerts.command()
@click.argument("file", type=FILE, required=False)
@pass_context
def export(context: Context, file: Path | None) -> None:
    """Write what is in force as YAML, to FILE or to standard output.

    Comments and the order of an existing FILE are kept.
    """
    export_document(context, "/alerts", file)


@alerts.command()
@click.argument("file", type=FILE)
@pass_context
def plan(context: Context, file: Path) -> None:
    """Show what FILE would change, and how often its new rules would have fired."""
    found = context.client.write(
        "POST", "/alerts/plan", {"document": json_values(load(file), _scalar)}
    )
    context.show(found, render_plan)


@alerts.command()
@click.argument("file", type=FILE)
@click.option("--reason", default="", help="Why; it is kept in the audit log.")
@pass_context
def apply(context: Context, file: Path, reason: str) -> None:
    """Put FILE in force, in one transaction."""
    body = {"document": json_values(load(file), _scalar)}
    found = context.client.write("POST", "/alerts/plan", body)
    if found["changes"]:
        body |= {"reason": reason, "base": found["base"]}
        context.client.write("POST", "/alerts/apply", body)
    context.show(found, render_plan)


@alerts.command()
@click.argument("channel")
@pass_context
def test(context: Context, channel: str) -> None:
    """Send a test message to CHANNEL."""
    found = context.client.write("POST", f"/alerts/channels/{segment(channel)}/test")
    context.show(found, lambda console, data: console.print("Queued."))


@alerts.command()
@pass_context
def channels(context: Context) -> None:
    """List the channels, without their addresses and secrets."""
    fields = ("name", "kind", "enabled", "last_error")
    context.show(context.client.get("/alerts/channels"), table(fields, "There is no channel."))


@alerts.command("set-channel")
@click.argument("channel")
@click.option(
    "--kind", type=click.Choice(["apprise", "webhook"]), default="apprise", show_default=True,
    help="An Apprise address, or a signed webhook.",
)  # fmt: skip
@click.option(
    "--url", envvar="SWITCHGEAR_CHANNEL_URL", default="",
    help="Its address; left out, it stays. In SWITCHGEAR_CHANNEL_URL no other user of the machine "
    "sees it.",
)  # fmt: skip
@click.option(
    "--secret", envvar="SWITCHGEAR_CHANNEL_SECRET", default="",
    help="What signs a webhook; left out, it stays. Likewise in SWITCHGEAR_CHANNEL_SECRET.",
)  # fmt: skip
@click.option("--off", is_flag=True, help="Send nothing there.")
@pass_context
def set_channel(
    context: Context, channel: str, kind: str, url: str, secret: str, off: bool
) -> None:
    """Add CHANNEL, or change it."""
    body = {"kind": kind, "url": url, "secret": secret, "enabled": not off}
    path = f"/alerts/channels/{segment(channel)}"
    made = context.client.write("PUT", path, body, {"If-Match": "*"})
    context.show(made, line("{name}: {kind}"))


@alerts.command("delete-channel")
@click.argument("channel")
@pass_context
def delete_channel(context: Context, channel: str) -> None:
    """Delete CHANNEL with its routes."""
    path = f"/alerts/channels/{segment(channel)}"
    context.client.write("DELETE", path, headers={"If-Match": "*"})
    context.show({"deleted": channel}, line("Deleted {deleted}."))


@alerts.command()
@pass_context
def messages(context: Context) -> None:
    """List the latest messages to channels."""
    fields = ("id", "channel", "title", "attempts", "outcome", "error")
    context.show(context.client.get("/alerts/messages"), table(fields, "There is no message."))


@alerts.command()
@click.argument("message", type=int)
@pass_context
def replay(context: Context, message: int) -> None:
    """Deliver a finished MESSAGE again, under the same id."""
    found = context.client.write("POST", f"/alerts/messages/{message}/replay")
    context.show(found, lambda console, data: console.print("Queued."))


def _scalar(value: Any) -> Any:
    """Numbers stay numbers, times become texts."""
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    return value.isoformat() if isinstance(value, date) else str(value)


def render_plan(console: Console, found: dict[str, Any]) -> None:
    """The changes and the previews, a line each."""
    if not found["changes"]:
        console.print("no changes")
    for each in found["changes"]:
        line = f"{each['path']}: {each['before']} → {each['after']}"
        console.print(line, markup=False, soft_wrap=True)
    for each in found["previews"]:
        if unknown := each.get("unknown"):
            line = f"{each['rule']}: it cannot be told how often it would have fired: {unknown}"
            console.print(line, markup=False, soft_wrap=True)
            continue
        times = "1 time" if each["count"] == 1 else f"{each['count']} times"
        cut = ", of the latest part of history" if each["cut"] else ""
        line = f"{each['rule']}: would have fired {times} in the last {each['days']:g} days{cut}"
        console.print(line, markup=False, soft_wrap=True)
