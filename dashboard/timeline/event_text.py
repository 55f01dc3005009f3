"""What happened, said in words."""

from __future__ import annotations

from typing import Any

from dashboard.common.display_names import field_value, field_words, override_word, state_word
from dashboard.timeline.events import Event

_ACTS = {
    "forced_open": "Forced open",
    "forced_closed": "Forced closed",
    "metrics_only": "Set to monitor only",
    "forced_partial": "Limited to a share",
    "automatic": "Back to automatic",
    "expired": "Override expired",
    "reset": "Retried now",
    "undo": "Undone",
    "recording": "Recording of each call ordered",
    "dependents declared": "Dependents declared",
    "instance forgotten": "Silent instance forgotten",
    "drill": "Drill run",
    "kill path drill": "Kill path drilled",
}


def said(event: Event) -> str:
    """An event in one line, without its place, reason and author."""
    if event.kind == "transition":
        change = f"{state_word(event.before)} → {state_word(event.after)}"
        if event.count == 1:
            return f"{change} on {event.instances[0]}"
        return f"{change} on {event.count} instances"
    if event.kind == "outage":
        return _outage(event)
    if event.kind == "marker":
        return event.title
    if event.kind == "policy":
        return f"{event.title.capitalize()}{_changes(event.detail.get('diff'))}"
    words = _ACTS.get(event.title, event.title.capitalize())
    if (share := event.detail.get("share")) is not None:
        words = override_word(event.title, share)
    return f"{words} on {event.count} instances only" if event.count else words


def _outage(event: Event) -> str:
    detail = event.detail
    length = f" for {span_words(event.until - event.at)}" if event.until else ", not over yet"
    parts = [f"Open{length}"]
    for count, noun in (
        (detail["failed_tests"], "test call failed"),
        (detail["refused"], "call refused"),
        (detail.get("acts", 0), "action"),
    ):
        if count:
            parts.append(f"{count:,} {noun if count == 1 else _plural(noun)}")
    if detail["ended_as"] == "overridden":
        parts.append("ended by an override")
    elif detail["ended_as"] == "gone":
        parts.append("no instance reports any more")
    return ", ".join(parts)


def _plural(noun: str) -> str:
    head, _, rest = noun.partition("call")
    return f"{head}calls{rest}" if rest or noun == "call" else f"{noun}s"


def span_words(seconds: float) -> str:
    """A span of time: 42 s, 6 min, 3 h 20 min, 2 d."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes = whole // 60
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        rest = f" {minutes % 60} min" if minutes % 60 else ""
        return f"{minutes // 60} h{rest}"
    return f"{minutes // 1440} d"


def window(figures: dict[str, Any]) -> str:
    """The figures of a breaker's window at a transition."""
    calls = figures.get("calls") or 0
    if not calls:
        return ""
    parts = [f"{figures.get('failures') or 0} of {calls} failed"]
    if figures.get("slow"):
        parts.append(f"{figures['slow']} slow")
    if (row := figures.get("consecutive_failures") or 0) > 1:
        parts.append(f"{row} in a row")
    return ", ".join(parts)


def _changes(diff: Any) -> str:
    if not isinstance(diff, dict) or not diff:
        return ""
    said = []
    for name, change in diff.items():
        if isinstance(change, dict):
            said.append(
                f"{field_words(name)} {_value(change, 'before')} → {_value(change, 'after')}"
            )
    return ": " + ", ".join(said) if said else ""


def _value(change: dict[str, Any], side: str) -> str:
    return field_value(change[side]) if side in change else "inherited"
