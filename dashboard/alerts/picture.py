"""The timeline of an incident as an SVG picture: a lane for each breaker, and every action with its
time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Final
from xml.sax.saxutils import escape

from dashboard.alerts import queries
from dashboard.alerts.models import Incident
from dashboard.timeline.event_text import said
from dashboard.timeline.events import Wanted, events, together

MAX_LANES: Final = 16
MAX_ACTIONS: Final = 60
_WIDTH: Final = 960
_LABEL: Final = 220
_LANE: Final = 24
_TOP: Final = 34
_LINE: Final = 18
_BEFORE_S: Final = 900.0
# Lines of the incident that firings wrote: the lanes show them.
_NOT_ACTIONS: Final = frozenset({"fired", "ended"})

Action = tuple[float, str]


def picture(incident: Incident, may_see_people: bool, now: float | None = None) -> str:
    """The picture. Without `may_see_people` it leaves out the names of people."""
    end = incident.ended or (time.time() if now is None else now)
    lanes, more = _lanes(incident, end)
    found = sorted(_actions(incident, end, may_see_people))
    actions = found[:MAX_ACTIONS]
    since = min([incident.began, *(at for at, _ in actions)])
    until = max([end, since + 1.0, *(at for at, _ in actions)])
    scale = _Scale(since, until)
    body = [*_axis(scale, len(lanes))]
    for n, (name, spans, is_cause) in enumerate(lanes):
        body += _lane(scale, n, name, spans, is_cause)
    below = _TOP + max(1, len(lanes)) * _LANE + 26
    body += _marks(scale, actions, below)
    notes = [f"and {more} more breakers"] if more else []
    if len(found) > MAX_ACTIONS:
        notes.append(f"and {len(found) - MAX_ACTIONS} more actions")
    height = below + 24 + _LINE * (len(actions) + len(notes))
    for n, note in enumerate(notes):
        body.append(_text(8, below + 24 + _LINE * (len(actions) + n), note, "#555"))
    title = escape(_one_line(f"Incident {incident.pk}: {incident.headline}", 200))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" role="img" font-family="sans-serif" font-size="12">'
        f'<title>{title}</title><rect width="100%" height="100%" fill="#fff"/>'
        + "".join(body)
        + "</svg>\n"
    )


class _Scale:
    """Times to x."""

    def __init__(self, since: float, until: float) -> None:
        self.since, self.until = since, until

    def __call__(self, at: float) -> float:
        share = (min(max(at, self.since), self.until) - self.since) / (self.until - self.since)
        return round(_LABEL + share * (_WIDTH - _LABEL - 24), 1)


Lane = tuple[str, list[tuple[float, float]], bool]


def _lanes(incident: Incident, end: float) -> tuple[list[Lane], int]:
    """The breakers in order of their beginning, the first cause first, and how many are left."""
    spans: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for each in incident.firings.all():
        spans.setdefault((each.service, each.breaker), []).append((each.began, each.ended or end))
    cause = (incident.service, incident.breaker)
    order = sorted(spans.items(), key=lambda each: (each[0] != cause, min(each[1])))
    lanes = [("/".join(key), own, key == cause) for key, own in order[:MAX_LANES]]
    return lanes, max(0, len(order) - MAX_LANES)


def _actions(incident: Incident, end: float, may_see_people: bool) -> Iterator[Action]:
    """What people did, deploys before, and what the incident itself went through."""
    for each in incident.events.exclude(kind__in=_NOT_ACTIONS)[: 2 * MAX_ACTIONS]:
        who = f" ({each.by})" if each.by and may_see_people else ""
        yield each.at, f"{each.text}{who}"
    services = {each.service for each in incident.firings.all()} | {incident.service}
    for marker in queries.markers(incident.began - _BEFORE_S, end):
        if not marker.service or marker.service in services:
            yield marker.at, f"{marker.kind}: {marker.text}"
    kinds = frozenset({"override", "policy"})
    for service in sorted(services):
        wanted = Wanted(incident.began - _BEFORE_S, end, kinds, service)
        for event in islice(together(events(wanted)), MAX_ACTIONS):
            if event.service:
                why = f": {event.why}" if event.why else ""
                who = f" ({event.who})" if event.who and may_see_people else ""
                yield event.at, f"{service}/{event.breaker} {said(event)}{why}{who}"


def _axis(scale: _Scale, lanes: int) -> Iterator[str]:
    bottom = _TOP + max(1, lanes) * _LANE
    for n in range(6):
        at = scale.since + (scale.until - scale.since) * n / 5
        x = scale(at)
        yield f'<line x1="{x}" x2="{x}" y1="{_TOP - 8}" y2="{bottom}" stroke="#ddd"/>'
        anchor = "end" if n == 5 else "middle" if n else "start"
        yield _text(x, _TOP - 14, _clock(at), "#555", anchor)


def _lane(
    scale: _Scale, n: int, name: str, spans: list[tuple[float, float]], is_cause: bool
) -> Iterator[str]:
    y = _TOP + n * _LANE
    yield _text(8, y + 16, _one_line(name, 32), "#111", weight="bold" if is_cause else "normal")
    color = "#a00019" if is_cause else "#d98a00"
    for begin, end in spans:
        x = scale(begin)
        width = max(2.0, round(scale(end) - x, 1))
        yield f'<rect x="{x}" y="{y + 5}" width="{width}" height="14" rx="2" fill="{color}"/>'


def _marks(scale: _Scale, actions: list[Action], top: int) -> Iterator[str]:
    """A numbered mark for each action under the lanes, and below them what each number is."""
    for n, (at, words) in enumerate(actions, 1):
        x = scale(at)
        yield (
            f'<line x1="{x}" x2="{x}" y1="{_TOP - 8}" y2="{top - 14}" stroke="#0b5cad" '
            'stroke-dasharray="3 3"/>'
        )
        yield _text(x, top - 2, str(n), "#0b5cad", "middle")
        line = f"{n}  {_clock(at)}  {words}"
        yield _text(8, top + 24 + _LINE * (n - 1), _one_line(line, 150), "#111")


def _text(
    x: float, y: float, words: str, color: str, anchor: str = "start", weight: str = "normal"
) -> str:
    return (
        f'<text x="{x}" y="{y}" fill="{color}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{escape(words)}</text>"
    )


def _one_line(text: str, most: int) -> str:
    """Text of others in one line, without what XML forbids."""
    line = "".join(c if c.isprintable() else " " for c in text)
    return line if len(line) <= most else line[: most - 1] + "…"


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"
