"""The post-mortem of an incident as Markdown: times, figures, and every action."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from dashboard.alerts import queries
from dashboard.alerts.models import Incident
from dashboard.alerts.picture import picture
from dashboard.alerts.selection import Key
from dashboard.timeline.event_text import said
from dashboard.timeline.events import KINDS, OF_BREAKERS, Wanted, events, together

MAX_LINES: Final = 500
_BEFORE_S: Final = 900.0


def postmortem(incident: Incident, may_see_people: bool) -> str:
    """The document. Without `may_see_people` it leaves out the actions of people."""
    return "\n".join(_lines(incident, may_see_people)) + "\n"


def _lines(incident: Incident, may_see_people: bool) -> Iterator[str]:
    end = incident.ended or time.time()
    firings = list(incident.firings.all())
    yield f"# Incident {incident.pk}: {_text(incident.headline)}"
    yield ""
    yield f"- Began: {_time(incident.began)}"
    yield f"- Ended: {_time(incident.ended) if incident.ended else 'not yet'}"
    yield f"- Duration: {_span(end - incident.began)}"
    yield f"- Severity: {incident.severity}"
    yield f"- First cause: {incident.service}/{incident.breaker} ({', '.join(incident.why) or '–'})"
    if incident.acknowledged:
        by = incident.acknowledged_by if may_see_people else "an operator"
        after = _span(incident.acknowledged - incident.began)
        yield f"- Acknowledged by {by} after {after}"
    figures = queries.figures(incident)
    refused = sum(each["counts"]["rejected"] for each in figures.values())
    yield f"- Calls refused by breakers: {refused}"
    yield ""
    svg = base64.b64encode(picture(incident, may_see_people, end).encode()).decode()
    yield f"![Timeline of the incident, in UTC](data:image/svg+xml;base64,{svg})"
    yield ""
    yield "## Breakers"
    yield ""
    yield "| breaker | rule | from | to |"
    yield "|---|---|---|---|"
    for each in firings[:MAX_LINES]:
        ended = _time(each.ended) if each.ended else "–"
        ended += f" ({each.times} times)" if each.times > 1 else ""
        name = _text(f"{each.service}/{each.breaker}")
        rule = _text(each.rule_name + (f", {each.detail}" if each.detail else ""))
        yield f"| {name} | {rule} | {_time(each.began)} | {ended} |"
    yield ""
    yield from _figures(figures)
    yield "## Timeline"
    yield ""
    for at, line in sorted(_events(incident, end, may_see_people)):
        yield f"- {_time(at)} {line}"
    yield ""
    yield "## What went well, what went wrong, what to change"
    yield ""
    yield "-"


def _figures(figures: Mapping[Key, Mapping[str, Any]]) -> Iterator[str]:
    """What each breaker counted while the incident lasted."""
    yield "## Figures"
    yield ""
    yield "| breaker | calls | failed or timed out | refused | answered by a fallback | p99 |"
    yield "|---|---|---|---|---|---|"
    for (service, breaker), each in sorted(figures.items())[:MAX_LINES]:
        counts = each["counts"]
        failed = counts["failure"] + counts["timeout"]
        slowest = "–" if each["p99_ms"] is None else f"{each['p99_ms']:g} ms"
        name = _text(f"{service}/{breaker}")
        yield (
            f"| {name} | {each['calls']} | {failed} | {counts['rejected']} "
            f"| {counts['fallback']} | {slowest} |"
        )
    yield ""


def _events(incident: Incident, end: float, may_see_people: bool) -> Iterator[tuple[float, str]]:
    for each in incident.events.all()[:MAX_LINES]:
        who = f" ({_text(each.by)})" if each.by and may_see_people else ""
        yield each.at, f"{_text(each.text)}{who}"
    since = incident.began - _BEFORE_S
    services = {each.service for each in incident.firings.all()} | {incident.service}
    for marker in queries.markers(since, end):
        if marker.service in services or not marker.service:
            yield marker.at, f"{marker.kind}: {_text(marker.text)}"
    kinds = frozenset(KINDS) - {"marker"} if may_see_people else OF_BREAKERS
    for service in sorted(services):
        wanted = Wanted(since=since, until=end, service=service, kinds=kinds)
        for event in islice(together(events(wanted, oldest_first=True)), MAX_LINES):
            who = f" ({_text(event.who)})" if event.who else ""
            why = f": {_text(event.why)}" if event.why else ""
            yield event.at, f"{_text(service)}/{_text(event.breaker)} {said(event)}{why}{who}"


def _text(text: str) -> str:
    """Text of others, so that it is not Markdown."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#" else c for c in " ".join(text.split()))


def _time(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _span(seconds: float) -> str:
    whole = max(0, round(seconds))
    return (
        f"{whole // 3600} h {whole // 60 % 60} min"
        if whole >= 3600
        else (f"{whole // 60} min {whole % 60} s" if whole >= 60 else f"{whole} s")
    )
