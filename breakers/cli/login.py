"""`switchgear login`: store the address and the token of a dashboard."""

from __future__ import annotations

import platform
import sys
import time
from typing import Any

import click

from breakers.cli import exit_codes, profiles
from breakers.cli.application import Context, main, pass_context
from breakers.cli.client import Client, CliError


@main.command()
@click.argument("url")
@click.option("--token", help="A personal token, instead of a code; `-` reads stdin.")
@click.option("--scope", "scopes", multiple=True, default=["read", "operate"], show_default=True)
@pass_context
def login(context: Context, url: str, token: str | None, scopes: tuple[str, ...]) -> None:
    """Store the dashboard at URL under the chosen profile. Shows a code, which you allow on a page
    of the dashboard."""
    url = url.rstrip("/")
    if token == "-":  # noqa: S105 - the name for stdin
        token = sys.stdin.readline()
    elif token is None:
        token = _by_code(url, scopes)
    profile = profiles.Profile(url, str(token).strip())
    with Client(profile) as client:
        me = client.get("/me")
    file = profiles.save(context.profile_name, profile)
    context.show(
        {"profile": context.profile_name, "username": me["username"], "file": str(file)},
        lambda console, data: console.print(
            f"Logged in as {data['username']}; stored in {data['file']}."
        ),
    )


def _by_code(url: str, scopes: tuple[str, ...]) -> str:
    """The token that a person allows on the page."""
    name = f"switchgear on {platform.node() or 'a terminal'}"[:80]
    with Client(profiles.Profile(url)) as client:
        begun = client.write("POST", "/device/code", {"name": name, "scopes": list(scopes)})
        click.echo(f"Open {begun['verification_uri']}\nand type {begun['user_code']}", err=True)
        ends = time.monotonic() + begun["expires_in"]
        while time.monotonic() < ends:
            time.sleep(begun["interval"])
            if token := _fetched(client, begun):
                return token
    raise CliError("nobody has allowed it in time", exit_codes.UNAUTHENTICATED)


def _fetched(client: Client, begun: dict[str, Any]) -> str:
    try:
        found = client.get_by_post("/device/token", {"device_code": begun["device_code"]})
    except CliError as error:
        if error.problem == "authorization_pending":
            return ""
        raise CliError(str(error), exit_codes.UNAUTHENTICATED) from None
    return str(found["token"])
