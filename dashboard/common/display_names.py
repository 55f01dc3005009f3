"""Display names of states and policy values, for every page and message."""

from __future__ import annotations

STATE_WORDS = {
    "closed": "Closed",
    "open": "Open",
    "half_open": "Half-open",
    "forced_open": "Forced open",
    "forced_closed": "Forced closed",
    "metrics_only": "Monitor only",
    "stale": "Stale",
}


def state_word(state: str) -> str:
    """The name of a state on screen."""
    return STATE_WORDS.get(state, state)


def field_words(name: str) -> str:
    """The name of a policy field on screen."""
    return name.replace("_", " ")


def field_value(value: object) -> str:
    """A policy field's value; None means switched off."""
    if value is None:
        return "off"
    return f"{value:g}" if isinstance(value, float) else str(value)
