"""What charts of a breaker are marked with: deploys, overrides, policies, and its timeout."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from dashboard.alerts import queries as alerts
from dashboard.api.browsers.query_parameters import span
from dashboard.api.browsers.views import json_answer, validated
from dashboard.common.display_names import state_word
from dashboard.control import queries as control
from dashboard.policies.value_history import saves, value_steps

_MARKERS: Final = 100
_ACTS: Final = 50


@require_GET
@validated
def markers(request: HttpRequest, service: str) -> HttpResponse:
    """Deploys and other markers of a service, and those of no service, for its charts; the newest
    of a range."""
    begin, end = span(request.GET)
    return json_answer({"from": begin, "to": end, "markers": _deploys(service, begin, end)})


@require_GET
@validated
def context(request: HttpRequest, service: str, breaker: str) -> HttpResponse:
    """The same of one breaker, with its overrides and saved policies; and `timeouts`, pairs of a
    time and the timeout in ms since then (None where there was none)."""
    begin, end = span(request.GET)
    marks = _deploys(service, begin, end)
    for row in control.overlapping(service, breaker, begin, end, _ACTS):
        words = f"{state_word(row.state)} by {row.by}: {row.reason}"
        marks.append(_mark(row.created.timestamp(), "override", state_word(row.state), words))
        if row.ended is not None and begin <= row.ended.timestamp() <= end:
            ended = f"{state_word(row.state)} ended: {row.ended_why or 'expired'}"
            marks.append(_mark(row.ended.timestamp(), "override", "ended", ended))
    for version in saves(service, breaker, begin, end, _ACTS):
        words = f"Policy of {version.policy} v{version.number} by {version.by}"
        words += f": {version.reason}" if version.reason else ""
        marks.append(
            _mark(version.created.timestamp(), "policy", f"policy v{version.number}", words)
        )
    timeouts = [
        (at, None if value is None else value * 1000)
        for at, value in value_steps(service, breaker, "timeout", begin, end)
    ]
    marks.sort(key=lambda each: -each["at"])
    shown = [each for each in marks if begin <= each["at"] <= end]
    return json_answer({"from": begin, "to": end, "markers": shown, "timeouts": timeouts})


def _deploys(service: str, begin: float, end: float) -> list[dict[str, Any]]:
    rows = alerts.markers(begin, end, service, _MARKERS)
    return [_mark(row.at, row.kind, row.version, row.text, row.url) for row in rows]


def _mark(at: float, kind: str, version: str, text: str, url: str = "") -> dict[str, Any]:
    return {"at": at, "kind": kind, "version": version, "text": text, "url": url}
