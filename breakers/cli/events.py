"""`switchgear events`: what happens, a line each, as it happens."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any, Final

import click
from rich.text import Text

from breakers.cli import exit_codes
from breakers.cli.application import Context, main, pass_context
from breakers.cli.client import CliError

_PAUSE_S: Final = 2.0


@main.command()
@click.option("--after", default="", help="Begin after the event with this id.")
@pass_context
def events(context: Context, after: str) -> None:
    """Follow the audit trail and the changes of breakers, until Ctrl-C. Nothing is left out when
    the connection breaks."""
    try:
        while True:
            try:
                for id, kind, data in parse(context.client.stream("/events", after)):
                    after = id or after
                    if kind in ("audit", "transition"):
                        _show(context, id, kind, data)
            except CliError as error:
                if error.code not in (exit_codes.UNREACHABLE, exit_codes.LIMITED):
                    raise
                click.echo(f"switchgear: {error}; trying again", err=True)
            time.sleep(_PAUSE_S)
    except KeyboardInterrupt:
        return


def parse(lines: Iterator[str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The events of a stream: id, kind and data.

    >>> list(parse(iter(["id: 1-2.0", "event: audit", 'data: {"act": "force"}', ""])))
    [('1-2.0', 'audit', {'act': 'force'})]
    """
    found: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            found[name] = value.removeprefix(" ")
        elif found:
            if "data" in found:
                yield found.get("id", ""), found.get("event", ""), json.loads(found["data"])
            found = {}


def _show(context: Context, id: str, kind: str, data: dict[str, Any]) -> None:
    if context.as_json:
        click.echo(json.dumps({"id": id, "kind": kind, **data}))
        return
    where = "/".join(filter(None, (data["service"], data["breaker"])))
    if kind == "audit":
        said = f"{data['at'][11:19]}  {data['by']}: {data['act']} {where}"
        said += f": {data['reason']}" if data["reason"] else ""
    else:
        at = time.strftime("%H:%M:%S", time.gmtime(data["at"]))
        said = f"{at}  {where} on {data['instance']}: {data['before']} → {data['after']}"
        said += f", {data['cause']}" if data["cause"] else ""
    context.console.print(Text(said), soft_wrap=True)
