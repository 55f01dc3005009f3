"""Block components. Components without a body are partials in templates/components/."""

from __future__ import annotations

from dataclasses import dataclass

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str
    number: bool


@register.filter
def columns(text: str) -> list[Column]:
    """Parses `When|Instance|#Calls` into columns; `#` marks a numeric one."""
    return [Column(each.removeprefix("#"), each.startswith("#")) for each in text.split("|")]


@register.simple_block_tag
def card(content: SafeString, title: str = "", id: str = "", note: str = "") -> SafeString:
    """`{% card title="Instances" note="4 of 4" %}…{% endcard %}`: a panel with a heading."""
    head = format_html("<h2>{}</h2>", title) if title else ""
    if note:
        head = format_html('{} <span class="service-note">{}</span>', head, note)
    if head:
        head = format_html("<header>{}</header>", head)
    at = format_html(' id="{}"', id) if id else ""
    return format_html('<section class="card"{}>{}{}</section>', at, head, content)
