"""A model field whose text is encrypted in the database.

Fernet with a key from `SECRET_KEY`; text of the keys in `SECRET_KEY_FALLBACKS` can still be read.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import models

_PREFIX: Final = "sealed:"
_PURPOSE: Final = b"switchgear.sealed."


def seal(text: str) -> str:
    """Encrypt a text. The empty text stays empty."""
    return _PREFIX + _fernet().encrypt(text.encode()).decode() if text else ""


def unseal(stored: str) -> str:
    """The text of a stored value; empty if none of the keys can decrypt it."""
    if not stored.startswith(_PREFIX):
        return stored
    try:
        return _fernet().decrypt(stored.removeprefix(_PREFIX).encode()).decode()
    except InvalidToken:
        return ""


def _fernet() -> MultiFernet:
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    digests = [hashlib.sha256(_PURPOSE + str(key).encode()).digest() for key in keys]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(each)) for each in digests])


class SealedField(models.TextField):
    """Text that is encrypted when it is stored and decrypted when it is read. It cannot be searched
    for: the same text has another value each time."""

    def get_prep_value(self, value: Any) -> Any:
        """What the database gets."""
        text = super().get_prep_value(value)
        return seal(text) if isinstance(text, str) else text

    def from_db_value(self, value: str | None, *_: Any) -> str | None:
        """What the program gets."""
        return value if value is None else unseal(value)
