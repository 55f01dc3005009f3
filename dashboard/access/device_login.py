"""Logging a device in (RFC 8628): a command line asks for a code, a person allows it on the page,
and the command line fetches a personal token.

Requests are kept for ten minutes in Django's cache, which all web processes share. The token is
created when it is fetched, once: nothing keeps its secret.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Final

from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.utils import timezone

from dashboard.access.models import Person
from dashboard.access.personal_tokens import SCOPES, create_personal_token
from dashboard.access.services import audit, digest

VALID_FOR_S: Final = 600
INTERVAL_S: Final = 2
TOKEN_FOR: Final = timedelta(days=90)
# Without vowels and what is read for something else.
_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
_CODE: Final = 8
WAITING, ALLOWED, DENIED = "waiting", "allowed", "denied"


@dataclass(frozen=True)
class DeviceRequest:
    """Who asks for a token, with which scopes, and what was decided by whom."""

    name: str
    scopes: tuple[str, ...]
    address: str
    device: str
    state: str = WAITING
    person: int = 0


class NotAllowed(Exception):
    """No token yet: `code` is that of RFC 8628."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def begin(name: str, scopes: Sequence[str], address: str) -> tuple[str, str]:
    """Ask for a token. Returns the secret of the device, and the code that a person types.

    Raises:
        ValidationError: by field.
    """
    name = name.strip()
    unknown = sorted(set(scopes) - set(SCOPES))
    if not 1 <= len(name) <= 80 or not name.isprintable():
        raise ValidationError({"name": "A token has a name of 1 to 80 printable characters."})
    if unknown or not scopes:
        raise ValidationError({"scopes": f"Choose among {', '.join(SCOPES)}."})
    device = secrets.token_urlsafe(32)
    code = "".join(secrets.choice(_LETTERS) for _ in range(_CODE))
    asked = DeviceRequest(name, tuple(sorted(set(scopes))), address, digest(device))
    _keep(code, asked)
    cache.set(_device_key(asked.device), code, VALID_FOR_S)
    return device, f"{code[:4]}-{code[4:]}"


def find(code: str) -> DeviceRequest | None:
    """The request that waits under a code, as a person types it."""
    found = cache.get(_code_key(_normalised(code)))
    asked = DeviceRequest(**found) if found else None
    return asked if asked and asked.state == WAITING else None


def decide(person: Person, code: str, *, allow: bool) -> bool:
    """Allow or deny a request. Returns whether one waited."""
    asked = find(code)
    if asked is None:
        return False
    state = ALLOWED if allow else DENIED
    _keep(_normalised(code), replace(asked, state=state, person=person.pk))
    audit(person, f"device {state}", name=asked.name, scopes=asked.scopes, from_=asked.address)
    return True


def finish(device: str) -> str:
    """The token of an allowed request, once.

    Raises:
        NotAllowed: it waits, was denied, has expired, or was fetched already.
    """
    key = _device_key(digest(device))
    code = cache.get(key)
    found = cache.get(_code_key(code)) if code else None
    if not found:
        raise NotAllowed("expired_token")
    asked = DeviceRequest(**found)
    if asked.state == WAITING:
        raise NotAllowed("authorization_pending")
    # Whoever deletes it first has it.
    if not cache.delete(key):
        raise NotAllowed("expired_token")
    cache.delete(_code_key(code))
    person = Person.objects.filter(pk=asked.person, is_active=True).first()
    if asked.state == DENIED or person is None:
        raise NotAllowed("access_denied")
    expires = timezone.now() + TOKEN_FOR
    return create_personal_token(person, asked.name, asked.scopes, expires)[1]


def _keep(code: str, asked: DeviceRequest) -> None:
    cache.set(_code_key(code), asdict(asked), VALID_FOR_S)


def _normalised(code: str) -> str:
    return "".join(each for each in code.upper() if each in _LETTERS)[: _CODE + 1]


def _code_key(code: str) -> str:
    return f"device-code:{code}"


def _device_key(hashed: str) -> str:
    return f"device:{hashed}"
