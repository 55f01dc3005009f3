"""`switchgear trip`, `close`, `partial`, `auto`, `undo`, `approve`: act, and see who obeys."""

from __future__ import annotations

import re
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any, Final

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from breakers.cli import exit_codes
from breakers.cli.application import Context, main, pass_context
from breakers.cli.client import Client, CliError, segment

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_POLL_S: Final = 0.25


class Duration(click.ParamType[float]):
    """Such as 90s, 10m, 2h or 1d."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d{1,7})([smhd])", str(value))
        if found is None or not int(found[1]):
            self.fail(f"{value!r} is not a duration; write 90s, 10m, 2h or 1d", param, ctx)
        return float(int(found[1]) * _UNITS[found[2]])


class Target(click.ParamType[dict[str, str]]):
    """service/breaker; everything after the first slash is the breaker's name."""

    name = "service/breaker"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, str]:
        if isinstance(value, dict):
            return value
        service, slash, breaker = str(value).partition("/")
        if not (service and slash and breaker):
            self.fail(f"{value!r} does not name a breaker; write service/breaker", param, ctx)
        return {"service": service, "breaker": breaker}


TARGETS = click.argument("targets", type=Target(), nargs=-1, required=True)
REASON = click.option("--reason", required=True, help="Shown to everybody on call.")
INSTANCES = click.option("--instance", "instances", multiple=True, help="Only on these instances.")
YES = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
BREAK_GLASS = click.option("--break-glass", is_flag=True, help="Do not wait for approval.")
WAIT = click.option("--wait", type=Duration(), default="30s", show_default=True,
                    help="How long to wait for confirmations.")  # fmt: skip
FOR = click.option("--for", "duration", type=Duration(), default="30m", show_default=True,
                   help="Until the override ends.")  # fmt: skip


def _forces(command: Callable[..., None]) -> Callable[..., None]:
    """What every command that forces a state takes."""
    command = pass_context(command)
    for option in (WAIT, BREAK_GLASS, YES, INSTANCES, REASON, FOR, TARGETS):
        command = option(command)
    return command


@main.command()
@_forces
def trip(context: Context, /, targets: Any, duration: float, **options: Any) -> None:
    """Force breakers open: every call is refused at once."""
    _act(context, targets, "forced_open", duration, **options)


@main.command()
@_forces
def close(context: Context, /, targets: Any, duration: float, **options: Any) -> None:
    """Force breakers closed: every call passes, whatever fails."""
    _act(context, targets, "forced_closed", duration, **options)


@main.command("metrics-only")
@_forces
def metrics_only(context: Context, /, targets: Any, duration: float, **options: Any) -> None:
    """Let every call pass; the breaker only says when it would have opened."""
    _act(context, targets, "metrics_only", duration, **options)


@main.command()
@click.option(
    "--share",
    type=click.FloatRange(0, 100, min_open=True),
    required=True,
    help="Per cent of the calls that pass; in steps: 5, 10, 25, 50, 100.",
)
@_forces
def partial(
    context: Context, /, targets: Any, share: float, duration: float, **options: Any
) -> None:
    """Let a share of the calls pass and refuse the others, the least important first."""
    _act(context, targets, "forced_partial", duration, share=share / 100, **options)


@main.command()
@TARGETS
@REASON
@YES
@BREAK_GLASS
@pass_context
def reset(context: Context, /, targets: Any, **options: Any) -> None:
    """Let calls pass for ten seconds, then return to automatic with empty counters."""
    _act(context, targets, "reset", 0.0, instances=(), wait=0.0, **options)


@main.command()
@click.argument("targets", type=Target(), nargs=-1)
@click.option("--mine", is_flag=True, help="Everything that you hold.")
@REASON
@YES
@pass_context
def auto(context: Context, targets: Any, mine: bool, reason: str, yes: bool) -> None:
    """Return breakers to automatic, or with --mine all that you hold."""
    if mine == bool(targets):
        raise click.UsageError("Name breakers, or say --mine.")
    if mine:
        _confirm(context, yes, "Return all that you hold to automatic?")
        body = {"reason": reason, "id": str(uuid.uuid4())}
        _report(context, context.client.write("POST", "/acts/release", body))
        return
    _act(context, targets, "automatic", 0.0, reason=reason, instances=(), yes=yes,
         break_glass=False, wait=0.0)  # fmt: skip


@main.command()
@click.argument("act_id")
@pass_context
def undo(context: Context, act_id: str) -> None:
    """Undo an act: put back what stood before, where nobody has changed it since."""
    body = {"id": str(uuid.uuid4())}
    _report(context, context.client.write("POST", f"/acts/{segment(act_id)}/undo", body))


@main.command()
@click.argument("act_id", required=False)
@click.option("--reject", is_flag=True)
@click.option("--break-glass", is_flag=True, help="Perform your own act without approval.")
@pass_context
def approve(context: Context, act_id: str | None, reject: bool, break_glass: bool) -> None:
    """Approve an act of another person; without ACT_ID, list those that wait."""
    if act_id is None:
        context.show(context.client.get("/approvals"), _render_waiting)
        return
    decision = "reject" if reject else "break_glass" if break_glass else "approve"
    path = f"/approvals/{segment(act_id)}"
    _report(context, context.client.write("POST", path, {"decision": decision}))


@main.command()
@click.argument("override_id")
@click.option(
    "--for", "duration", type=Duration(), help="Extend or shorten: ends this long from now."
)
@click.option("--to", help="Hand it over to this person.")
@click.option("--reason", default="")
@pass_context
def override(
    context: Context, override_id: str, duration: float | None, to: str | None, reason: str
) -> None:
    """Extend, shorten or hand over an override that stands."""
    if (duration is None) == (to is None):
        raise click.UsageError("Say either --for or --to.")
    path = f"/overrides/{segment(override_id)}"
    if duration is not None:
        body: dict[str, Any] = {"expires_in_s": duration, "reason": reason}
        found = context.client.write("POST", f"{path}/end", body)
    else:
        found = context.client.write("POST", f"{path}/hand-over", {"to": to, "reason": reason})
    context.show(
        found,
        lambda console, data: console.print(
            f"{data['service']}/{data['breaker']} by {data['by']} until {data['expires'][:16]}",
            markup=False,
        ),
    )


def _act(
    context: Context,
    targets: tuple[dict[str, str], ...],
    state: str,
    duration: float,
    *,
    reason: str,
    instances: tuple[str, ...],
    yes: bool,
    break_glass: bool,
    wait: float,
    share: float | None = None,
) -> None:
    client = context.client
    named: list[dict[str, Any]] = [{**each} for each in targets]
    for each in named if instances else ():
        each["instances"] = list(instances)
    seen = client.write("POST", "/acts/preview", {"targets": named, "state": state})
    if not context.as_json:
        _show_preview(context.console, state, seen)
    _confirm(context, yes, f"{state.replace('_', ' ').capitalize()}?")
    body = {"targets": named, "state": state, "reason": reason, "break_glass": break_glass}
    if duration:
        body["expires_in_s"] = duration
    if share is not None:
        body["share"] = share
    done = client.write("POST", "/acts", {**body, "id": str(uuid.uuid4())})
    if done["pending"]:
        context.show(done, lambda console, data: console.print(
            f"{data['pending']}\nAct {data['id']}", markup=False))  # fmt: skip
        raise CliError("it waits for approval", exit_codes.CONFLICT)
    confirmed = _follow(context, client, done["id"], wait) if wait else None
    _report(context, done if confirmed is None else {**done, **confirmed})


def _show_preview(console: Console, state: str, seen: dict[str, Any]) -> None:
    verb = {
        "forced_open": "Stops",
        "automatic": "Returns",
        "forced_partial": "Lets pass a share of",
    }
    line = (
        f"{verb.get(state, 'Lets pass')} {seen['calls_per_s']:.1f} calls/s from "
        f"{seen['instances']} instances of {seen['services']} services."
    )
    console.print(line, style="bold", markup=False)
    if state == "forced_open":
        console.print(f"A fallback has been seen for {seen['fallback_share']:.0%} of these calls.")
    if seen["upstream"]:
        names = ", ".join(seen["upstream"][:8])
        console.print(f"Services further up that will notice: {names}", markup=False)
    if seen["why_approval"]:
        console.print(f"{seen['why_approval']}: a second person must approve.", style="yellow")


def _confirm(context: Context, yes: bool, question: str) -> None:
    if yes:
        return
    if context.as_json or not sys.stdin.isatty():
        raise CliError("not confirmed: say --yes in a script", exit_codes.ABORTED)
    if not click.confirm(question):
        raise CliError("aborted", exit_codes.ABORTED)


def _follow(context: Context, client: Client, act: str, wait_s: float) -> dict[str, Any]:
    """Show each instance's confirmation as it comes, until all have, or the time is over."""
    until = time.monotonic() + wait_s
    shown = client.get(f"/acts/{segment(act)}")
    if context.as_json:
        while _is_waiting(shown) and time.monotonic() < until:
            time.sleep(_POLL_S)
            shown = client.get(f"/acts/{segment(act)}")
    else:
        with Live(_progress(shown), console=context.console, refresh_per_second=8) as live:
            while _is_waiting(shown) and time.monotonic() < until:
                time.sleep(_POLL_S)
                shown = client.get(f"/acts/{segment(act)}")
                live.update(_progress(shown))
    return {"confirmations": shown["confirmations"], "unconfirmed": _is_waiting(shown)}


def _is_waiting(act: dict[str, Any]) -> bool:
    for each in act["confirmations"]:
        answered = each["applied"] + len(each["refused"])
        if each["stands"] and (each["total"] == 0 or answered < each["total"]):
            return True
    return False


def _progress(act: dict[str, Any]) -> Text:
    text = Text()
    for each in act["confirmations"]:
        done = bool(each["total"]) and each["applied"] == each["total"]
        text.append("✓ " if done else "… ", style="green" if done else "yellow")
        text.append(f"{each['service']}/{each['breaker']}  ")
        text.append(f"{each['applied']} of {each['total']} instances confirmed\n")
        for refused in each["refused"]:
            text.append(f"  refused by {refused['instance']}: {refused['reason']}\n", style="red")
    return text


def _report(context: Context, done: dict[str, Any]) -> None:
    context.show(done, _render_done)
    if any(part["error"] for part in done["parts"]):
        raise CliError("it failed in part", exit_codes.FAILED)
    if done.get("unconfirmed"):
        raise CliError("not every instance has confirmed yet", exit_codes.UNCONFIRMED)


def _render_done(console: Console, done: dict[str, Any]) -> None:
    for part in done["parts"]:
        for breaker in part["made"]:
            console.print(Text(f"{part['service']}/{breaker}: {done['state'].replace('_', ' ')}"))
        for breaker, why in part["kept"].items():
            console.print(Text(f"{part['service']}/{breaker}: unchanged, {why}"))
        if part["error"]:
            console.print(Text(f"{part['service']}: {part['error']}", style="red"))
    console.print(Text(f"Undo with: switchgear undo {done['id']}", style="dim"))


def _render_waiting(console: Console, waiting: list[dict[str, Any]]) -> None:
    for each in waiting:
        names = ", ".join(f"{t['service']}/{t['breaker']}" for t in each["targets"][:5])
        console.print(
            Text(f"{each['id']}  {each['by']}: {each['state']} {names}: {each['reason']}")
        )
    if not waiting:
        console.print("Nothing waits.")
