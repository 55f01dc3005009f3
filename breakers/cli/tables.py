"""A plain table of what the API lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def table(fields: Sequence[str], nothing: str) -> Callable[[Console, list[dict[str, Any]]], None]:
    """Renders rows with these fields as columns, or says `nothing`."""

    def render(console: Console, rows: list[dict[str, Any]]) -> None:
        made = Table(box=None, pad_edge=False, header_style="bold")
        for field in fields:
            made.add_column(field.upper().replace("_", " "))
        for row in rows:
            made.add_row(*(Text(_shown(row[field])) for field in fields))
        console.print(made if rows else nothing)

    return render


def line(template: str) -> Callable[[Console, dict[str, Any]], None]:
    """Renders a result as one line; `{name}` is a field of it."""
    return lambda console, data: console.print(Text(template.format(**data)))


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)[:60]
