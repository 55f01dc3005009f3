"""`switchgear watch`: a live view of the fleet in the terminal."""

from __future__ import annotations

import time
from typing import Any, Final

import click
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from breakers.cli import exit_codes
from breakers.cli.application import Context, main, pass_context
from breakers.cli.client import CliError, segment
from breakers.cli.status import state_text

_BARS: Final = " ▁▂▃▄▅▆▇█"
_RANK: Final = (
    "open", "forced_open", "half_open", "forced_partial", "forced_closed", "metrics_only", "closed",
)  # fmt: skip
_RETRY_S: Final = 2.0


@main.command()
@click.argument("service", required=False)
@click.option("--every", default=1.0, show_default=True, help="Seconds between two looks.")
@pass_context
def watch(context: Context, service: str | None, every: float) -> None:
    """Watch every breaker, or those of SERVICE, until Ctrl-C. What needs attention is on top."""
    client = context.client
    history: dict[tuple[str, str], list[float]] = {}
    trouble = ""
    services: list[dict[str, Any]] = []
    with Live(screen=True, console=context.console, auto_refresh=False) as live:
        try:
            while True:
                try:
                    path = f"/services/{segment(service)}" if service else "/services"
                    services = [client.get(path)] if service else list(client.pages(path))
                    trouble = ""
                except CliError as error:
                    if error.code not in (exit_codes.UNREACHABLE, exit_codes.LIMITED):
                        raise
                    trouble = str(error)
                remember(history, services)
                height = context.console.size.height
                live.update(view(services, history, trouble, height), refresh=True)
                time.sleep(_RETRY_S if trouble else max(0.2, every))
        except KeyboardInterrupt:
            return


def remember(history: dict[tuple[str, str], list[float]], services: list[dict[str, Any]]) -> None:
    """Add the rates of now, of the last 30 looks."""
    for each in services:
        for breaker in each["breakers"]:
            rates = history.setdefault((each["name"], breaker["name"]), [])
            rates.append(breaker["rate"])
            del rates[:-30]


def spark(rates: list[float]) -> str:
    """The rates as bars, relative to the highest.

    >>> spark([0.0, 1.0, 2.0])
    ' ▄█'
    """
    top = max(rates, default=0.0)
    return "".join(_BARS[round(8 * rate / top)] if top else _BARS[0] for rate in rates)


def view(
    services: list[dict[str, Any]],
    history: dict[tuple[str, str], list[float]],
    trouble: str,
    height: int,
) -> Group:
    """The screen: a headline, and the breakers, the worst first."""
    rows = [(each, breaker) for each in services for breaker in each["breakers"]]
    rows.sort(key=lambda row: (_rank(row[1]["state"]), row[0]["name"], row[1]["name"]))
    states = [breaker["state"] for _, breaker in rows]
    bad = sum(state in ("open", "forced_open", "half_open") for state in states)
    headline = Text(f" {len(rows)} breakers, {bad} not closed ", style="bold white on red")
    if not bad:
        headline = Text(f" All {len(rows)} breakers closed ", style="bold white on green")
    headline.append(f"  {time.strftime('%H:%M:%S')}", style="dim")
    if trouble:
        headline.append(f"  {trouble}; the figures are old", style="bold yellow")
    table = Table(box=None, expand=True, pad_edge=False, header_style="dim")
    for name in ("SERVICE", "BREAKER", "STATE", "CALLS/S", "LAST 30", "OVERRIDE"):
        table.add_column(name, no_wrap=True, justify="right" if name == "CALLS/S" else "left")
    shown = rows[: max(1, height - 5)]
    for service, breaker in shown:
        override = breaker["override"]
        held = ""
        if override:
            left = max(0, int(override["expires_at"] - time.time()))
            held = (
                f"{override['applied']}/{override['total']} {override['by']}, "
                f"{left // 60}:{left % 60:02d} left: {override['reason']}"
            )
        table.add_row(
            Text(service["name"]),
            Text(breaker["name"]),
            state_text(breaker["state"]),
            f"{breaker['rate']:.1f}",
            spark(history.get((service["name"], breaker["name"]), [])),
            Text(held),
        )
    more = len(rows) - len(shown)
    footer = Text(f"{more} more; " if more else "", style="dim").append("Ctrl-C ends", style="dim")
    return Group(headline, Text(""), table, footer)


def _rank(state: str) -> int:
    return _RANK.index(state) if state in _RANK else 0
