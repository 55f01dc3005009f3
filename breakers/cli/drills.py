"""`switchgear drill`: save and run drills, read their reports, and drill the kill path."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from breakers.cli.application import Context, main, pass_context
from breakers.cli.client import segment
from breakers.cli.override_commands import Duration, Target


@main.group()
def drill() -> None:
    """Inject faults to rehearse, where the code of a service allows it."""


@drill.command("save")
@click.argument("name")
@click.argument("target", type=Target())
@click.option("--kind", type=click.Choice(["latency", "error", "corrupt"]), required=True)
@click.option("--share", type=click.FloatRange(0, 100, min_open=True), default=100.0,
              show_default=True, help="Per cent of the calls.")  # fmt: skip
@click.option("--latency", default=0.0, show_default=True, help="Seconds before the call.")
@click.option("--for", "duration", type=Duration(), default="1m", show_default=True)
@click.option("--instance", "instances", multiple=True, help="Only on these instances.")
@pass_context
def save(
    context: Context,
    name: str,
    target: dict[str, str],
    kind: str,
    share: float,
    latency: float,
    duration: float,
    instances: tuple[str, ...],
) -> None:
    """Save a drill under NAME, in the place of one that has it."""
    body = {
        **target,
        "kind": kind,
        "share": share / 100,
        "latency_s": latency,
        "seconds": duration,
        "instances": list(instances) or None,
    }
    made = context.client.write("PUT", f"/drills/{segment(name)}", body)
    context.show(made, lambda console, data: console.print(f"Saved {data['name']}.", markup=False))


@drill.command("list")
@pass_context
def list_drills(context: Context) -> None:
    """List the drills that are saved."""
    context.show(context.client.get("/drills"), _render_drills)


@drill.command("delete")
@click.argument("name")
@pass_context
def delete(context: Context, name: str) -> None:
    """Delete a saved drill; its runs stay."""
    context.client.write("DELETE", f"/drills/{segment(name)}", {})
    context.show({"name": name}, lambda console, data: console.print("Deleted.", markup=False))


@drill.command("run")
@click.argument("name")
@click.option("--reason", required=True, help="Shown to everybody on call.")
@pass_context
def run(context: Context, name: str, reason: str) -> None:
    """Run a drill: inject its fault from now on, for its time."""
    made = context.client.write("POST", f"/drills/{segment(name)}/run", {"reason": reason})
    context.show(made, _render_run)


@drill.command("stop")
@click.argument("run_id")
@pass_context
def stop(context: Context, run_id: str) -> None:
    """Stop a run before its time."""
    context.client.write("POST", f"/drills/runs/{segment(run_id)}/stop", {})
    context.show({"id": run_id}, lambda console, data: console.print("Stopped.", markup=False))


@drill.command("report")
@click.argument("run_id")
@pass_context
def report(context: Context, run_id: str) -> None:
    """Who obeyed, what tripped, and what callers saw."""
    context.show(context.client.get(f"/drills/runs/{segment(run_id)}"), _render_report)


@drill.command("kill-path")
@click.argument("service")
@click.option("--now", is_flag=True, help="Drill it now, instead of showing the last drill.")
@pass_context
def kill_path(context: Context, service: str, now: bool) -> None:
    """How soon each instance of SERVICE would obey, and which would not."""
    path = f"/drills/kill-path/{segment(service)}"
    if now:
        context.show(context.client.write("POST", path, {}), _render_started)
        return
    context.show(context.client.get(path), _render_path)


def _render_drills(console: Console, drills: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("NAME", "BREAKER", "FAULT", "SHARE", "SECONDS"):
        table.add_column(heading)
    for each in drills:
        latency = f" {each['latency_s']:g} s" if each["latency_s"] else ""
        row = (each["name"], f"{each['service']}/{each['breaker']}", each["kind"] + latency,
               f"{each['share']:.0%}", f"{each['seconds']:g}")  # fmt: skip
        table.add_row(*map(Text, row))
    console.print(table if drills else "No drill is saved.")


def _render_run(console: Console, data: dict[str, Any]) -> None:
    console.print(Text(f"{data['name']} runs until {data['expires'][:19]}"))
    console.print(Text(f"Report with: switchgear drill report {data['id']}", style="dim"))


def _render_report(console: Console, data: dict[str, Any]) -> None:
    console.print(Text(f"Obeyed by {len(data['obeyed'])}: {', '.join(data['obeyed'])}"))
    for each in data["refused"]:
        console.print(Text(f"Refused by {each['instance']}: {each['reason']}", style="red"))
    for each in data["tripped"]:
        where = f"{each['service']}/{each['breaker']}"
        console.print(
            Text(f"Opened: {where} on {each['instances']}, after {each['after_s']:.1f} s")
        )
    for each in data["seen"]:
        where = f"{each['service']}/{each['breaker']}"
        console.print(
            Text(
                f"{where}: {each['calls']} calls, {each['failed']} % failed "
                f"({each['failed_before']} % before), {each['refused']} % refused, "
                f"{each['fallback']} % fallback"
            )
        )


def _render_started(console: Console, data: dict[str, Any]) -> None:
    console.print(Text(f"Monitor only on {data['breaker']} for some seconds."))


def _render_path(console: Console, data: dict[str, Any]) -> None:
    total = len(data["obeyed"]) + len(data["refused"]) + len(data["silent"])
    console.print(Text(f"{len(data['obeyed'])} of {total} obeyed ({data['breaker']})"))
    for instance, seconds in sorted(data["obeyed"].items(), key=lambda each: -each[1]):
        console.print(Text(f"  {instance}  {seconds:.3f} s"))
    for instance, why in data["refused"].items():
        console.print(Text(f"  {instance} would not obey: {why}", style="red"))
    for instance in data["silent"]:
        if data["waits"]:
            console.print(Text(f"  {instance} has not answered yet"))
        else:
            console.print(Text(f"  {instance} did not answer", style="red"))
