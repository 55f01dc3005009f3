"""Single acts on policies: restore, copy, schedule, and roll out. Whole files: `policies apply`."""

from __future__ import annotations

from typing import Any

import click

from breakers.cli.application import Context, pass_context
from breakers.cli.policies import policies
from breakers.cli.tables import line


class Scope(click.ParamType[dict[str, str]]):
    """`service/breaker`, `service`, or `fleet`."""

    name = "scope"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, str]:
        if isinstance(value, dict):
            return value
        if value == "fleet":
            return {"service": "", "breaker": ""}
        service, _, breaker = str(value).partition("/")
        return {"service": service, "breaker": breaker}


SCOPE = click.argument("scope", type=Scope())
FIELDS = click.option("--set", "fields", multiple=True, required=True, metavar="FIELD=VALUE")
REASON = click.option("--reason", default="")


def _fields(given: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{each!r} is not FIELD=VALUE, such as timeout='250 ms'")
        found[name.strip()] = value.strip()
    return found


@policies.command()
@click.argument("version", type=int)
@pass_context
def restore(context: Context, version: int) -> None:
    """Put an older VERSION in force again, by its id."""
    made = context.client.write("POST", f"/policies/versions/{version}/restore")
    context.show(made, line("Version {number} is in force."))


@policies.command()
@click.argument("source", type=Scope())
@SCOPE
@pass_context
def copy(context: Context, source: dict[str, str], scope: dict[str, str]) -> None:
    """Give SCOPE the policy of SOURCE."""
    made = context.client.write("POST", "/policies/copy", {**scope, "source": source})
    context.show(made, line("Version {number} is in force."))


@policies.command()
@SCOPE
@FIELDS
@REASON
@click.option("--starts", required=True, help="Such as 2026-11-24T02:47:00Z.")
@click.option("--ends", help="Then the version before it comes back.")
@pass_context
def schedule(
    context: Context, scope: dict[str, str], fields: tuple[str, ...], reason: str, starts: str,
    ends: str | None,
) -> None:  # fmt: skip
    """Put fields of SCOPE in force at a time."""
    body = {**scope, "fields": _fields(fields), "reason": reason, "starts": starts, "ends": ends}
    made = context.client.write("POST", "/policies/scheduled", body)
    context.show(made, line("Scheduled as {id}."))


@policies.command()
@click.argument("id", type=int)
@pass_context
def unschedule(context: Context, id: int) -> None:
    """Cancel a scheduled change that has not started."""
    context.client.write("DELETE", f"/policies/scheduled/{id}")
    context.show({"cancelled": id}, line("Cancelled {cancelled}."))


@policies.command()
@SCOPE
@FIELDS
@REASON
@click.option("--instance", "instances", multiple=True)
@click.option("--version", "versions", multiple=True)
@click.option("--zone", "zones", multiple=True)
@click.option("--keep", is_flag=True, help="Do not promote it by itself.")
@pass_context
def rollout(
    context: Context, /, scope: dict[str, str], fields: tuple[str, ...], reason: str, keep: bool,
    **selector: tuple[str, ...],
) -> None:  # fmt: skip
    """Put fields of SCOPE in force on some instances, and compare them with the others."""
    chosen = {name: list(values) for name, values in selector.items() if values}
    body = {**scope, "fields": _fields(fields), "reason": reason, "selector": chosen}
    made = context.client.write("POST", "/policies/rollouts", {**body, "promotes": not keep})
    context.show(made, line("Rollout {id} runs."))


@policies.command()
@click.argument("id", type=int)
@click.argument("decision", type=click.Choice(["promote", "stop"]))
@pass_context
def decide(context: Context, id: int, decision: str) -> None:
    """Promote a rollout, or stop it."""
    made = context.client.write("POST", f"/policies/rollouts/{id}/{decision}")
    context.show(made, line("The rollout is {state}."))
