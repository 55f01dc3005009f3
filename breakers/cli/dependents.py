"""`switchgear dependents`: the services whose word counts for a service's status."""

from __future__ import annotations

import click

from breakers.cli.application import Context, main, pass_context
from breakers.cli.client import segment
from breakers.cli.tables import line


@main.command()
@click.argument("service")
@click.option("--set", "names", multiple=True, help="Declare this one; may be said again.")
@click.option("--quorum", default=1, show_default=True, help="How many must agree.")
@click.option("--none", "withdrawn", is_flag=True, help="Withdraw the declaration.")
@pass_context
def dependents(
    context: Context, service: str, names: tuple[str, ...], quorum: int, withdrawn: bool
) -> None:
    """Show the declared dependents of SERVICE, or declare them."""
    if names and withdrawn:
        raise click.UsageError("Say either --set or --none.")
    path = f"/services/{segment(service)}/dependents"
    shown = line("{dependents}, of which {quorum} must agree")
    if not (names or withdrawn):
        context.show(context.client.get(path), shown)
        return
    body = {"dependents": list(names), "quorum": quorum}
    context.show(context.client.write("PUT", path, body, {"If-Match": "*"}), shown)
