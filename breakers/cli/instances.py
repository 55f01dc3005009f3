"""`switchgear forget`: forget an instance that is gone."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console

from breakers.cli.application import Context, main, pass_context
from breakers.cli.client import segment


@main.command()
@click.argument("service")
@click.argument("instance")
@pass_context
def forget(context: Context, service: str, instance: str) -> None:
    """Forget a silent INSTANCE of SERVICE before its ten minutes are over."""
    context.client.write("DELETE", f"/services/{segment(service)}/instances/{segment(instance)}")
    context.show({"service": service, "instance": instance}, _forgotten)


def _forgotten(console: Console, data: dict[str, Any]) -> None:
    console.print(f"{data['instance']} of {data['service']} is forgotten", markup=False)
