"""`switchgear login`: store the address and the token of a dashboard."""

from __future__ import annotations

import sys

import click

from breakers.cli import profiles
from breakers.cli.application import Context, main, pass_context
from breakers.cli.client import Client


@main.command()
@click.argument("url")
@click.option("--token", help="A personal token; asked for if it is missing. `-` reads stdin.")
@pass_context
def login(context: Context, url: str, token: str | None) -> None:
    """Store the dashboard at URL under the chosen profile, with a personal token."""
    if token == "-":  # noqa: S105 - the name for stdin
        token = sys.stdin.readline().strip()
    elif token is None:
        token = click.prompt("Personal token (create one on the page Tokens)", hide_input=True)
    profile = profiles.Profile(url.rstrip("/"), str(token).strip())
    with Client(profile) as client:
        me = client.get("/me")
    file = profiles.save(context.profile_name, profile)
    context.show(
        {"profile": context.profile_name, "username": me["username"], "file": str(file)},
        lambda console, data: console.print(
            f"Logged in as {data['username']}; stored in {data['file']}."
        ),
    )
