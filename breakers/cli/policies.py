"""`switchgear policies`: keep policies as a YAML file, plan and apply changes, lint."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console

from breakers.cli.application import Context, main, pass_context
from breakers.cli.documents import FILE, export_document, json_values, load

WORSE: Final = 2
FOUND: Final = 1


@main.group()
def policies() -> None:
    """Policies as code."""


@policies.command()
@click.argument("file", type=FILE, required=False)
@pass_context
def export(context: Context, file: Path | None) -> None:
    """Write the policies in force as YAML, to FILE or to standard output.

    Comments and the order of an existing FILE are kept.
    """
    export_document(context, "/policies", file)


@policies.command()
@click.argument("file", type=FILE)
@pass_context
def plan(context: Context, file: Path) -> None:
    """Show what FILE would change. Exits with 2 when a saved incident would go worse."""
    found = context.client.write("POST", "/policies/plan", {"document": json_values(load(file))})
    context.show(found, render_plan)
    if found["is_worse"]:
        raise click.exceptions.Exit(WORSE)


@policies.command()
@click.argument("file", type=FILE)
@click.option("--reason", default="", help="Why; it is kept with each version.")
@click.option("--accept-worse", is_flag=True, help="Apply although a saved incident goes worse.")
@pass_context
def apply(context: Context, file: Path, reason: str, accept_worse: bool) -> None:
    """Put FILE in force, in one transaction."""
    document = json_values(load(file))
    found = context.client.write("POST", "/policies/plan", {"document": document})
    if found["is_worse"] and not accept_worse:
        context.show(found, render_plan)
        raise click.exceptions.Exit(WORSE)
    body = {"document": document, "reason": reason, "base": found["base"]}
    context.client.write("POST", "/policies/apply", body)
    context.show(found, render_plan)


@policies.command()
@pass_context
def lint(context: Context) -> None:
    """Show the findings of the linter. Exits with 1 when there are any."""
    found = context.client.get("/policies/lint")
    context.show(found, render_findings)
    if found:
        raise click.exceptions.Exit(FOUND)


def render_plan(console: Console, found: dict[str, Any]) -> None:
    """The changes and the incidents, a line each."""
    if not found["changes"]:
        console.print("no changes")
    for each in found["changes"]:
        where = "/".join(filter(None, (each["service"], each["breaker"]))) or "fleet"
        line = f"{where}: {each['field']} {each['before']} → {each['after']}"
        console.print(line, markup=False, soft_wrap=True)
    for each in found.get("not_understood", []):
        where = "/".join(filter(None, (each["service"], each["breaker"]))) or "fleet"
        line = f"not understood: {where}: {each['field']}: {each['message']}"
        console.print(line, markup=False, soft_wrap=True)
    for each in found["incidents"]:
        verdict = "worse" if each["is_worse"] else "not worse"
        console.print(f"{verdict}: {each['sentence']}", markup=False, soft_wrap=True)


def render_findings(console: Console, found: list[dict[str, Any]]) -> None:
    """The findings, a line each."""
    if not found:
        console.print("no findings")
    for each in found:
        where = f"{each['service']}/{each['breaker']}"
        line = f"{where}: {each['code']} {each['field']}: {each['message']}"
        console.print(line, markup=False, soft_wrap=True)
