"""Reads the entries of an alerts document. A wrong value is an error at its path."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

Errors = dict[str, str]
MAX_ERRORS: Final = 50


class Fields:
    """The fields of one entry. Each method reads one of them."""

    def __init__(self, content: Any, path: str, known: tuple[str, ...], errors: Errors) -> None:
        self.path = path
        self._errors = errors
        self._content = mapping(content, path, errors)
        for key in self._content:
            if key not in known:
                self.wrong(str(key)[:60], f"There is no such field; there are {', '.join(known)}.")

    def wrong(self, name: str, message: str) -> None:
        """Note an error at a field."""
        self._errors.setdefault(f"{self.path}.{name}", message)

    def text(self, name: str, default: str = "", most: int = 120) -> str:
        """A text; YAML reads an unquoted version as a number."""
        value = self._content.get(name)
        if value is None:
            return default
        if isinstance(value, (bool, dict, list)):
            self.wrong(name, f"{_shown(value)} is not a text.")
            return default
        if len(str(value)) > most:
            self.wrong(name, f"It has {len(str(value))} characters; at most {most}.")
            return default
        return str(value)

    def choice(self, name: str, choices: Mapping[str, Any], default: str = "") -> str:
        """One of several texts."""
        value = self.text(name, default)
        if value not in choices:
            self.wrong(name, f"{value!r} is not known; use one of {', '.join(choices)}.")
        return value

    def number(self, name: str, default: float) -> float:
        """A finite number."""
        value = self._content.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.wrong(name, f"{_shown(value)} is not a number.")
            return default
        if not math.isfinite(value) or abs(value) > 1e12:
            self.wrong(name, f"{_shown(value)} is too large.")
            return default
        return float(value)

    def hour(self, name: str) -> int | None:
        """An hour of the day, or nothing."""
        if self._content.get(name) is None:
            return None
        value = self.number(name, 0)
        if not 0 <= value <= 23 or value != int(value):
            self.wrong(name, f"{value:g} is not an hour; use 0 to 23.")
            return None
        return int(value)

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self._content.get(name, default)
        if not isinstance(value, bool):
            self.wrong(name, f"{_shown(value)} is neither true nor false.")
            return default
        return value

    def numbers(self, name: str) -> dict[str, Any]:
        """A mapping of names to numbers; its kind checks it."""
        given = self._content.get(name)
        value = mapping({} if given is None else given, f"{self.path}.{name}", self._errors)
        return {str(key): each for key, each in value.items()}

    def time(self, name: str) -> float | None:
        """A moment such as `2027-01-31T12:00:00Z`, as Unix time."""
        text = self.text(name)
        if not text:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            self.wrong(
                name, f"{text[:40]!r} is not a time with a zone, such as 2027-01-31T12:00:00Z."
            )
            return None
        return moment.timestamp()


def mapping(value: Any, path: str, errors: Errors) -> dict[Any, Any]:
    """The value, if it is a mapping."""
    if isinstance(value, dict):
        return value
    errors.setdefault(path, f"It must be a mapping, not {type(value).__name__}.")
    return {}


def _shown(value: Any) -> str:
    return repr(value)[:60]
