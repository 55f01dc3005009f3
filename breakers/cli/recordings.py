"""`switchgear record`: record each call of a breaker, list and stop recordings."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console

from breakers.cli.application import Context, main, pass_context
from breakers.cli.client import segment
from breakers.cli.override_commands import Duration, Target


@main.command()
@click.argument("target", type=Target())
@click.option("--for", "duration", type=Duration(), default="10m", show_default=True,
              help="How long, 10m at most.")  # fmt: skip
@click.option("--reason", default="")
@click.option("--stop", is_flag=True, help="Stop the recording that is under way.")
@pass_context
def record(
    context: Context, target: dict[str, str], duration: float, reason: str, stop: bool
) -> None:
    """Record each call of SERVICE/BREAKER (`SERVICE/*`: of all its breakers), to replay it in a
    what-if."""
    if stop:
        for each in context.client.get("/recording-orders", service=target["service"]):
            if each["breaker"] == target["breaker"]:
                path = f"/recording-orders/{segment(target['service'])}/{segment(each['id'])}/stop"
                context.client.write("POST", path, {})
                context.show(each, _stopped)
                return
        raise click.ClickException(f"{target['breaker']} is not being recorded.")
    body = {**target, "seconds": duration, "reason": reason}
    context.show(context.client.write("POST", "/recording-orders", body), _recording)


def _recording(console: Console, data: dict[str, Any]) -> None:
    console.print(
        f"{data['service']}/{data['breaker']} is recorded until {data['expires'][:19]}",
        markup=False,
    )


def _stopped(console: Console, data: dict[str, Any]) -> None:
    console.print(f"{data['service']}/{data['breaker']} is no longer recorded", markup=False)
