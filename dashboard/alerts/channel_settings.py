"""Where messages go: keeps and deletes channels, and says what is wrong with one, by field. For the
admin and for the API."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import apprise
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.crypto import salted_hmac

from dashboard.access.authority import demand
from dashboard.access.models import Person
from dashboard.access.roles import ADMINISTER
from dashboard.access.services import audit
from dashboard.alerts.models import Channel

_FIELDS: Final = ("name", "kind", "url", "secret", "enabled")
_LONGEST: Final = {"name": 80, "url": 1000, "secret": 200}


def wrong_fields(channel: Channel) -> dict[str, str]:
    """What is wrong with a channel, by field."""
    wrong = {
        name: f"{len(getattr(channel, name))} characters; at most {most}."
        for name, most in _LONGEST.items()
        if len(getattr(channel, name)) > most
    }
    if wrong:
        return wrong
    if not channel.name.isprintable() or not channel.name.strip():
        wrong["name"] = "A channel has a name of 1 to 80 printable characters."
    if channel.kind == "webhook":
        if not _is_web_address(channel.url):
            wrong["url"] = "A webhook has an http or https address, with a host."
        if not channel.secret:
            wrong["secret"] = "A webhook needs a secret to sign its messages with."  # noqa: S105
    elif apprise.Apprise.instantiate(channel.url, suppress_exceptions=True) is None:
        wrong["url"] = "Apprise does not know this address, such as slack://… or mailto://…."
    return wrong


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # no such port, or no such host
        return False


def version(channel: Channel | None) -> str:
    """What is stored, as an opaque text; empty for none. It tells nothing of the secrets."""
    if channel is None:
        return ""
    values = "\0".join(str(getattr(channel, name)) for name in _FIELDS)
    return salted_hmac("dashboard.alerts.channel", values).hexdigest()[:16]


@transaction.atomic
def save_channel(person: Person, channel: Channel) -> Channel:
    """Store a channel; the audit trail names the fields that have changed, not their values.

    Raises:
        ValidationError: what is wrong, by field.
    """
    demand(person, ADMINISTER)
    if wrong := wrong_fields(channel):
        raise ValidationError(wrong)
    channel.full_clean()
    before = Channel.objects.filter(pk=channel.pk).first()
    changed = [
        name
        for name in _FIELDS
        if before is None or getattr(before, name) != getattr(channel, name)
    ]
    try:
        with transaction.atomic():
            channel.save()
    except IntegrityError:
        wrong = {"name": f"Somebody has just added a channel {channel.name!r}."}
        raise ValidationError(wrong) from None
    what = "channel added" if before is None else "channel changed"
    audit(person, what, name=channel.name, fields=changed)
    return channel


@transaction.atomic
def delete_channel(person: Person, channel: Channel) -> None:
    """Delete a channel with its routes and messages."""
    demand(person, ADMINISTER)
    audit(person, "channel deleted", name=channel.name)
    channel.delete()
