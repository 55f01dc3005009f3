"""Template filters for figures, times, states and policy values."""

from datetime import UTC, datetime

from django import template

from dashboard.common.display_names import STATE_WORDS, field_value, field_words, state_word

__all__ = ["STATE_WORDS", "field_value", "field_words", "state_word", "unix"]

register = template.Library()
register.filter("state_word", state_word)
register.filter("field_words", field_words)
register.filter("field_value", field_value)


@register.filter
def unix(at: float) -> datetime:
    """Unix time as a datetime."""
    return datetime.fromtimestamp(at, UTC)
