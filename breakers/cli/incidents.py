"""`switchgear incident` and `switchgear silence`: incidents, and pauses of their messages."""

from __future__ import annotations

from typing import Any

import click

from breakers.cli.application import Context, main, pass_context
from breakers.cli.client import segment
from breakers.cli.override_commands import Duration
from breakers.cli.tables import line, table

_FIELDS = ("id", "severity", "service", "breaker", "headline")


@main.group()
def incident() -> None:
    """Look at incidents, and act on them."""


@incident.command("list")
@click.option("--all", "ended_too", is_flag=True, help="Those that have ended, too.")
@pass_context
def list_incidents(context: Context, ended_too: bool) -> None:
    """List the incidents that last."""
    found = context.client.get("/incidents", all="true" if ended_too else None)
    context.show(found, table(_FIELDS, "No incident lasts."))


@incident.command()
@click.argument("id", type=int)
@pass_context
def show(context: Context, id: int) -> None:
    """Show one incident."""
    found = context.client.get(f"/incidents/{id}")
    context.show(found, line("{severity}: {headline} ({service}/{breaker})"))


def _act(name: str, help: str, *options: Any) -> None:
    @click.argument("id", type=int)
    @pass_context
    def act(context: Context, /, id: int, **given: Any) -> None:
        body = {key: list(value) if isinstance(value, tuple) else value
                for key, value in given.items()}  # fmt: skip
        found = context.client.write("POST", f"/incidents/{id}/{segment(name)}", body)
        context.show(found, line("{severity}: {headline}"))

    for option in options:
        act = option(act)
    incident.command(name, help=help)(act)


_act("acknowledge", "Say that somebody is on it.")
_act("resolve", "End it by hand.")
_act("assign", "Assign it.", click.option("--assignee", default="", help="Empty: nobody."))
_act("note", "Add a note.", click.option("--text", required=True))
_act("severity", "Set the severity.", click.option("--severity", required=True))
_act("merge", "Make it part of another.", click.option("--into", type=int, required=True))
_act("split", "Make some of its firings another incident.",
     click.option("--firing", "firings", type=int, multiple=True, required=True))  # fmt: skip


@main.group()
def silence() -> None:
    """Pause messages about breakers."""


@silence.command("list")
@pass_context
def list_silences(context: Context) -> None:
    """List the silences that last."""
    fields = ("id", "service", "breaker", "reason", "by")
    context.show(context.client.get("/silences"), table(fields, "Nothing is silenced."))


@silence.command("add")
@click.option("--service", default="", help="A name, or a pattern with *; empty for all.")
@click.option("--breaker", default="", help="Likewise.")
@click.option("--for", "duration", type=Duration(), default="1h", show_default=True)
@click.option("--reason", required=True)
@pass_context
def add(context: Context, service: str, breaker: str, duration: float, reason: str) -> None:
    """Send no messages about matching breakers for a time."""
    body = {"service": service, "breaker": breaker, "reason": reason, "seconds": duration}
    made = context.client.write("POST", "/silences", body)
    context.show(made, line("Silence {id}: {reason}"))


@silence.command("end")
@click.argument("id", type=int)
@pass_context
def end(context: Context, id: int) -> None:
    """End a silence at once."""
    context.client.write("DELETE", f"/silences/{id}")
    context.show({"ended": id}, line("Ended silence {ended}."))
