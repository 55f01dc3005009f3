"""The timeline as JSON, CSV and Markdown, a piece at a time, oldest first."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from dashboard.timeline.event_text import said
from dashboard.timeline.events import Event, together

# So many events one file takes; what is cut off says from when to ask again.
MOST: Final = 50_000
_COLUMNS: Final = (
    *("at", "until", "kind", "service", "breaker", "instance", "who"),
    *("what", "why", "before", "after", "detail"),
)
# A spreadsheet takes a cell that begins so for a formula, and runs it.
_FORMULA: Final = re.compile(r"^[\s]*[=+\-@\t\r]")
_MARKUP: Final = re.compile(r"([\\`*_{}\[\]()#+!|<>~-])")

Export = Callable[[Iterable[Event], dict[str, Any], int], Iterator[str]]


def as_json(events: Iterable[Event], about: dict[str, Any], most: int = MOST) -> Iterator[str]:
    """One document: what was asked for, the events, and whether they are all."""
    yield f'{{"timeline": {json.dumps(about)}, "events": ['
    bound = _Bound(events, most)
    for n, each in enumerate(bound):
        body = {**asdict(each), "at": _iso(each.at), "until": _iso(each.until), "said": said(each)}
        yield ("\n" if n == 0 else ",\n") + json.dumps(body)
    yield f'\n], "count": {bound.count}, "cut": {json.dumps(bound.note)}}}\n'


def as_csv(events: Iterable[Event], about: dict[str, Any], most: int = MOST) -> Iterator[str]:
    """A row for each event; `until` is the end of an outage that is over. A cell that a spreadsheet
    would run begins with an apostrophe."""
    yield _row(_COLUMNS)
    bound = _Bound(events, most)
    for each in bound:
        instance = " ".join(each.instances)
        detail = json.dumps(each.detail) if each.detail else ""
        yield _row(
            (
                _iso(each.at),
                _iso(each.until) if each.kind == "outage" and each.until else "",
                each.kind,
                each.service,
                each.breaker,
                instance,
                each.who,
                said(each),
                each.why,
                each.before,
                each.after,
                detail,
            )
        )
    if bound.note:
        yield _row(("", "", "cut", "", "", "", "", bound.note))


def as_markdown(events: Iterable[Event], about: dict[str, Any], most: int = MOST) -> Iterator[str]:
    """A table for the post-mortem; instances that changed alike share a line."""
    yield f"# Timeline, {about['from']} to {about['to']}\n\n"
    asked = ", ".join(f"{name} {value}" for name, value in about["filter"].items() if value)
    scope = f"Filter: {_escaped(asked)}" if asked else "Every service and breaker"
    yield f"{scope}. Times are UTC.\n\n"
    yield "| Time | Where | What | Why | Who |\n|---|---|---|---|---|\n"
    bound = _Bound(events, most)
    for each in together(bound):
        where = " / ".join(filter(None, (each.service, each.breaker))) or "fleet"
        moment = datetime.fromtimestamp(each.at, UTC).strftime("%Y-%m-%d %H:%M:%S")
        cells = (
            moment,
            _escaped(where),
            _escaped(said(each)),
            _escaped(each.why),
            _escaped(each.who),
        )
        yield "| " + " | ".join(cells) + " |\n"
    if not bound.count:
        yield "| – | – | Nothing happened. | – | – |\n"
    if bound.note:
        yield f"\n**{bound.note}**\n"


class _Bound:
    """At most so many events; `note` then says where it was cut."""

    def __init__(self, events: Iterable[Event], most: int) -> None:
        self._events = events
        self._most = most
        self.count = 0
        self.note: str | None = None

    def __iter__(self) -> Iterator[Event]:
        for each in self._events:
            if self.count == self._most:
                rest = f"export again from {_iso(each.at)} for the rest"
                self.note = f"Cut after {self._most} events; {rest}."
                return
            self.count += 1
            yield each


def _row(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow([f"'{cell}" if _FORMULA.match(cell) else cell for cell in cells])
    return line.getvalue()


def _escaped(text: str) -> str:
    """Text of others as text in a table's cell, whatever is in it."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split())).replace("\\-", "-")


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


FORMATS: Final[dict[str, tuple[str, Export]]] = {
    "json": ("application/json", as_json),
    "csv": ("text/csv; charset=utf-8", as_csv),
    "md": ("text/markdown; charset=utf-8", as_markdown),
}
