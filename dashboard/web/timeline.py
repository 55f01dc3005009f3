"""The timeline: its page, its events as JSON, and its exports."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

import msgspec
from asgiref.sync import sync_to_async
from django import forms
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from dashboard.access.roles import VIEW_AUDIT
from dashboard.fleet.snapshot.reads import summary_snapshot
from dashboard.history import queries as history
from dashboard.timeline.event_text import said, window
from dashboard.timeline.events import KINDS, SHOWN_TO_ALL, Event, Wanted, events, together
from dashboard.timeline.exports import FORMATS, MOST

RANGES: Final = {
    "1h": ("1 hour", 3600),
    "6h": ("6 hours", 21_600),
    "24h": ("24 hours", 86_400),
    "7d": ("7 days", 7 * 86_400),
    "30d": ("30 days", 30 * 86_400),
}
CUSTOM: Final = "custom"
# Lines of one page, and the number of events that are read to fill it.
_LINES: Final = 200
_READ: Final = 5000
_PIECE: Final = 500
_STRIP: Final = 1000


class TimelineForm(forms.Form):
    """The filter of the timeline. It is kept in the query string, so that links carry it."""

    range = forms.ChoiceField(
        choices=[*((key, words) for key, (words, _) in RANGES.items()), (CUSTOM, "From … to …")],
        required=False,
        initial="24h",
    )
    since = forms.DateTimeField(
        label="From",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}),
    )
    until = forms.DateTimeField(
        label="To",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "step": "1"}),
    )
    kind = forms.MultipleChoiceField(
        choices=list(KINDS.items()), required=False, widget=forms.CheckboxSelectMultiple
    )
    service = forms.CharField(
        max_length=120, required=False, widget=forms.TextInput(attrs={"list": "services"})
    )
    breaker = forms.CharField(
        max_length=120, required=False, widget=forms.TextInput(attrs={"list": "breakers"})
    )
    who = forms.CharField(max_length=150, required=False)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("range") == CUSTOM and not self.errors:
            since, until = cleaned.get("since"), cleaned.get("until")
            if since is None:
                self.add_error("since", "Say from when.")
            elif until is not None and until <= since:
                self.add_error("until", "The end comes after the beginning.")
        return cleaned

    def wanted(self, may_see_people: bool) -> Wanted:
        """The events to read; valid only after `is_valid()`."""
        data = self.cleaned_data
        now = time.time()
        if data["range"] == CUSTOM:
            since = data["since"].timestamp()
            until = data["until"].timestamp() if data["until"] else now
        else:
            since, until = now - RANGES[data["range"] or "24h"][1], now
        kinds = frozenset(data["kind"] or KINDS)
        return Wanted(
            since=since,
            until=until,
            kinds=kinds if may_see_people else kinds & SHOWN_TO_ALL,
            service=data["service"],
            breaker=data["breaker"],
            who=data["who"],
        )


@require_GET
def timeline(request: HttpRequest) -> HttpResponse:
    """The page with its first lines."""
    form = TimelineForm(_with_default_range(request))
    shot = summary_snapshot()["services"]
    shown = _view(form, request) if form.is_valid() else _nothing()
    context = {
        "form": form,
        "shown": shown,
        "services": [each["name"] for each in shot],
        "breakers": sorted({each["name"] for service in shot for each in service["breakers"]}),
        "query": request.GET.urlencode(),
        "formats": FORMATS,
        "follows": form.is_valid() and form.cleaned_data["range"] != CUSTOM,
    }
    status = 200 if form.is_valid() else 422
    return render(request, "pages/timeline.html", context, status=status)


@require_GET
def timeline_events(request: HttpRequest) -> HttpResponse:
    """The same view as JSON. `before` (Unix time) goes further back."""
    form = TimelineForm(_with_default_range(request))
    if not form.is_valid():
        body: Any = {"code": "invalid", "errors": form.errors.get_json_data()}
        return HttpResponse(msgspec.json.encode(body), "application/json", 400)
    response = HttpResponse(msgspec.json.encode(_view(form, request)), "application/json")
    response["Cache-Control"] = "no-store"
    return response


@require_GET
def timeline_export(request: HttpRequest, format: str) -> HttpResponse | StreamingHttpResponse:
    """The whole range as a file, streamed."""
    form = TimelineForm(_with_default_range(request))
    if not form.is_valid():
        return timeline(request)
    wanted = form.wanted(request.user.has_perm(VIEW_AUDIT))
    begins = _iso(wanted.since)
    about = {
        "from": begins,
        "to": _iso(wanted.until),
        "filter": {
            "service": wanted.service,
            "breaker": wanted.breaker,
            "who": wanted.who,
            "kinds": "" if wanted.kinds == set(KINDS) else " ".join(sorted(wanted.kinds)),
        },
    }
    content_type, export = FORMATS[format]
    pieces = export(events(wanted, oldest_first=True, folds=False), about, MOST)
    response = StreamingHttpResponse(_streamed(pieces), content_type=content_type)
    name = f"timeline-{begins[:16].replace(':', '')}.{format}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response


async def _streamed(pieces: Iterator[str]) -> AsyncIterator[str]:
    """Read in a thread, 500 lines at a time, so that the event loop is never blocked."""
    take = sync_to_async(lambda: "".join(islice(pieces, _PIECE)))
    while piece := await take():
        yield piece


def _with_default_range(request: HttpRequest) -> Any:
    query = request.GET.copy()
    query.setdefault("range", "24h")
    return query


def _view(form: TimelineForm, request: HttpRequest) -> dict[str, Any]:
    """Up to 200 lines, newest first; `more` is the cursor of the next page."""
    wanted = form.wanted(request.user.has_perm(VIEW_AUDIT))
    before = _before(request)
    until = min(wanted.until, before) if before is not None else wanted.until
    read = _Counted(events(replace(wanted, until=until)))
    lines = list(islice(together(read), _LINES + 1))
    # A line of many instances reaches back a little: its oldest may show once more further down.
    more = lines[_LINES - 1].at if len(lines) > _LINES else None
    if more is None and read.stopped:
        more = lines[-1].at
    return {
        "from": wanted.since,
        "to": wanted.until,
        "now": time.time(),
        "more": more,
        "events": _with_acts(lines[:_LINES]),
        "outages": _outages(wanted),
    }


def _with_acts(lines: list[Event]) -> list[dict[str, Any]]:
    """The lines as JSON; an outage counts the actions on its breaker while it lasted."""
    for outage in lines:
        if outage.kind == "outage":
            until = outage.until or time.time()
            outage.detail["acts"] = sum(
                each.kind == "override"
                and (each.service, each.breaker) == (outage.service, outage.breaker)
                and outage.at <= each.at <= until
                for each in lines
            )
    return [_line(each) for each in lines]


def _outages(wanted: Wanted) -> list[dict[str, Any]]:
    """What the strip over the whole range shows, however many lines the list has."""
    rows = history.outages(
        wanted.since, wanted.until, service=wanted.service, breaker=wanted.breaker, limit=_STRIP
    )
    return [
        {"service": row.service, "breaker": row.breaker, "began": row.began, "ended": row.ended}
        for row in rows
    ]


def _line(event: Event) -> dict[str, Any]:
    figures = window(event.detail) if event.kind == "transition" else ""
    return {**asdict(event), "said": said(event), "window": figures}


class _Counted:
    """At most so many single events of an iterator."""

    def __init__(self, found: Iterator[Event]) -> None:
        self._found = found
        self.stopped = False

    def __iter__(self) -> Iterator[Event]:
        for n, each in enumerate(self._found):
            if n == _READ:
                self.stopped = True
                return
            yield each


def _before(request: HttpRequest) -> float | None:
    try:
        before = float(request.GET.get("before", ""))
    except ValueError:
        return None
    return before if 0 < before < 1e11 else None


def _nothing() -> dict[str, Any]:
    now = time.time()
    empty: dict[str, Any] = {"events": [], "outages": []}
    return {"from": now - 3600, "to": now, "now": now, "more": None, **empty}


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
