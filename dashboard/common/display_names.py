"""Display names of states and policy values, for every page and message."""

from __future__ import annotations

STATE_WORDS = {
    "closed": "Closed",
    "open": "Open",
    "half_open": "Half-open",
    "forced_open": "Forced open",
    "forced_closed": "Forced closed",
    "metrics_only": "Monitor only",
    "forced_partial": "Limited",
    "stale": "Stale",
}


def state_word(state: str) -> str:
    """The name of a state on screen."""
    return STATE_WORDS.get(state, state)


def override_word(state: str, share: float | None) -> str:
    """The name of an override on screen.

    >>> override_word("forced_partial", 0.05)
    'Limited to 5%'
    """
    return state_word(state) if share is None else f"{state_word(state)} to {share * 100:.3g}%"


# Fields whose names in code say less than they should to somebody on call.
FIELD_WORDS = {
    "retries": "attempts (including the first)",
    "retry_delay": "wait before the second attempt",
    "timeout_duration": "stay open for",
    "success_threshold": "test calls that close it",
    "half_open_max_calls": "test calls at once",
}


def field_words(name: str) -> str:
    """The name of a policy field on screen."""
    return FIELD_WORDS.get(name, name.replace("_", " "))


def field_value(value: object) -> str:
    """A policy field's value; None means switched off."""
    if value is None:
        return "off"
    return f"{value:g}" if isinstance(value, float) else str(value)
