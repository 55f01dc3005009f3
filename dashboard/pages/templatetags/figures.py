"""How figures and times are written in server-rendered parts."""

from datetime import UTC, datetime

from django import template

register = template.Library()

STATE_WORDS = {
    "closed": "Closed",
    "open": "Open",
    "half_open": "Half-open",
    "forced_open": "Forced open",
    "forced_closed": "Forced closed",
    "metrics_only": "Metrics only",
    "stale": "Stale",
}


@register.filter
def state_word(state: str) -> str:
    """A state as people say it."""
    return STATE_WORDS.get(state, state)


@register.filter
def unix(at: float) -> datetime:
    """Unix time as a datetime."""
    return datetime.fromtimestamp(at, UTC)


@register.filter
def field_words(name: str) -> str:
    """A field's name as people say it."""
    return name.replace("_", " ")


@register.filter
def field_value(value: object) -> str:
    """A policy field's value; None is switched off."""
    if value is None:
        return "off"
    return f"{value:g}" if isinstance(value, float) else str(value)
