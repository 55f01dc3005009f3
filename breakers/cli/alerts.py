"""`switchgear alerts`: rules, routes and silences as a file."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console

from breakers.cli.application import Context, main, pass_context
from breakers.cli.policies import dump, load, merge

_FILE: Final = click.Path(dir_okay=False, path_type=Path)


@main.group()
def alerts() -> None:
    """Alert rules, routes and silences as code."""


@alerts.command()
@click.argument("file", type=_FILE, required=False)
@pass_context
def export(context: Context, file: Path | None) -> None:
    """Write what is in force as YAML, to FILE or to standard output.

    Comments and the order of an existing FILE are kept.
    """
    document = context.client.get("/alerts")
    if context.as_json:
        context.show(document, lambda console, data: None)
        return
    kept = load(file) if file is not None and file.exists() else {}
    merge(kept, document)
    text = dump(kept)
    if file is None:
        click.echo(text, nl=False)
    else:
        file.write_text(text)


@alerts.command()
@click.argument("file", type=_FILE)
@pass_context
def plan(context: Context, file: Path) -> None:
    """Show what FILE would change, and how often its new rules would have fired."""
    found = context.client.write("POST", "/alerts/plan", {"document": json_values(load(file))})
    context.show(found, render_plan)


@alerts.command()
@click.argument("file", type=_FILE)
@click.option("--reason", default="", help="Why; it is kept in the audit log.")
@pass_context
def apply(context: Context, file: Path, reason: str) -> None:
    """Put FILE in force, in one transaction."""
    body = {"document": json_values(load(file))}
    found = context.client.write("POST", "/alerts/plan", body)
    if found["changes"]:
        body |= {"reason": reason, "base": found["base"]}
        context.client.write("POST", "/alerts/apply", body)
    context.show(found, render_plan)


def json_values(content: Any) -> Any:
    """A YAML document as JSON can carry it: numbers stay numbers, times become texts."""
    if isinstance(content, Mapping):
        return {str(key): json_values(value) for key, value in content.items()}
    if isinstance(content, list):
        return [json_values(each) for each in content]
    if content is None or isinstance(content, bool):
        return content
    if isinstance(content, int):
        return int(content)
    if isinstance(content, float):
        return float(content)
    return content.isoformat() if isinstance(content, date) else str(content)


def render_plan(console: Console, found: dict[str, Any]) -> None:
    """The changes and the previews, a line each."""
    if not found["changes"]:
        console.print("no changes")
    for each in found["changes"]:
        line = f"{each['path']}: {each['before']} → {each['after']}"
        console.print(line, markup=False, soft_wrap=True)
    for each in found["previews"]:
        times = "1 time" if each["count"] == 1 else f"{each['count']} times"
        cut = ", of the latest part of history" if each["cut"] else ""
        line = f"{each['rule']}: would have fired {times} in the last {each['days']:g} days{cut}"
        console.print(line, markup=False, soft_wrap=True)
