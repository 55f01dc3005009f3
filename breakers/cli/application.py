"""The group `switchgear`: options for every subcommand, and errors with their exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import click
from rich.console import Console

from breakers.cli import exit_codes, profiles
from breakers.cli.client import Client, CliError


@dataclass
class Context:
    """What every subcommand gets: the client of the chosen profile, and the console."""

    profile_name: str
    as_json: bool

    @cached_property
    def console(self) -> Console:
        """Output for people."""
        return Console(highlight=False)

    @cached_property
    def client(self) -> Client:
        """The client; its profile must have a token."""
        profile = profiles.load(self.profile_name)
        if not profile.token:
            raise CliError(
                f"The profile {self.profile_name!r} has no token; run `switchgear login`.",
                exit_codes.UNAUTHENTICATED,
            )
        return Client(profile)

    def show(self, data: Any, render: Callable[[Console, Any], None]) -> None:
        """Write data as JSON with --json, or rendered for people."""
        if self.as_json:
            click.echo(json.dumps(data, indent=2, default=str))
        else:
            render(self.console, data)


class Commands(click.Group):
    """A group that reports errors on stderr, as JSON with --json, and exits with their codes."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CliError as error:
            if isinstance(ctx.obj, Context) and ctx.obj.as_json:
                body = {"error": str(error), "code": error.code, "fields": error.fields}
                click.echo(json.dumps(body), err=True)
            else:
                click.echo(f"switchgear: {error}", err=True)
            ctx.exit(error.code)
        except ValueError as error:
            click.echo(f"switchgear: {error}", err=True)
            ctx.exit(exit_codes.FAILED)


pass_context = click.make_pass_decorator(Context)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--profile",
    default=profiles.DEFAULT,
    envvar="SWITCHGEAR_PROFILE",
    show_default=True,
    help="The dashboard to use, see `switchgear login`.",
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON for scripts.")
@click.pass_context
def main(context: click.Context, profile: str, as_json: bool) -> None:
    """Operate the circuit breakers of a fleet from the command line."""
    context.obj = Context(profile, as_json)
    if as_json or not sys.stdout.isatty():
        # Nothing may colour what a script reads.
        context.color = False
