"""Template filters for figures, times, states and policy values."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from django import template
from django.utils.html import format_html

from dashboard.common.display_names import (
    STATE_WORDS,
    field_value,
    field_words,
    override_word,
    state_word,
)
from dashboard.control.models import Override
from dashboard.history.models import Outage
from dashboard.policies.knobs import KNOBS
from dashboard.policies.models import PolicyVersion
from dashboard.policies.quantities import show
from dashboard.policies.queries import Effective
from dashboard.timeline.event_text import span_words

__all__ = ["STATE_WORDS", "effective_value", "field_value", "field_words", "state_word", "unix"]

register = template.Library()
register.filter("state_word", state_word)
register.filter("field_words", field_words)
register.filter("field_value", field_value)


# A name of so many characters may have to be shortened, which keeps so many at its end; as in
# static/js/names.js.
_LONG: Final = 14
_TAIL: Final = 8


@register.filter
def short_name(name: object) -> str:
    """A name that others chose, for a table: where it is too wide its middle gives way, since names
    often differ at their ends. The whole is shown on hover and is what assistive tools read."""
    text = str(name)
    if len(text) <= _LONG:
        return format_html("<bdi>{}</bdi>", text)
    return format_html(
        '<bdi class="name-text shortens" title="{}"><span class="head">{}</span>'
        '<span class="tail">{}</span></bdi>',
        text,
        text[:-_TAIL],
        text[-_TAIL:],
    )


@register.filter
def override_name(override: Mapping[str, Any] | Override) -> str:
    """The name of an override with its share, from its row or from its view."""
    if isinstance(override, Override):
        return override_word(override.state, override.share)
    return override_word(override["state"], override.get("share"))


@register.filter
def percent(share: float) -> str:
    """A share in per cent."""
    return f"{share * 100:.3g}%"


@register.filter
def lasted(outage: Outage) -> str:
    """How long an outage took, or has taken."""
    return span_words((outage.ended or time.time()) - outage.began)


@register.filter
def unix(at: float) -> datetime:
    """Unix time as a datetime."""
    return datetime.fromtimestamp(at, UTC)


@register.filter
def version_changes(version: PolicyVersion) -> str:
    """What a version of a policy changed."""

    def side(name: str, change: dict[str, object], which: str) -> str:
        if which not in change:
            return "inherited"
        return show(KNOBS[name], change[which]) if name in KNOBS else str(change[which])

    return "; ".join(
        f"{field_words(name)} {side(name, each, 'before')} → {side(name, each, 'after')}"
        for name, each in version.diff.items()
    )


@register.filter
def policy_value(value: object, name: str) -> str:
    """The value of a policy field, with its unit."""
    return show(KNOBS[name], value) if name in KNOBS else str(value)


@register.filter
def effective_value(row: Effective) -> str:
    """The value of a policy field in force, with its unit."""
    return show(row.spec, row.value)
