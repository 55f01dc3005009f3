"""Reads settings from SWITCHGEAR_* variables. For secrets, the variable of the same name with
_FILE names a file that holds the value.

An invalid value raises at start, naming the variable, the value and what would be valid.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import urlsplit

import environ
from cryptography import x509
from django.core.exceptions import ImproperlyConfigured

PREFIX: Final = "SWITCHGEAR_"
# Read by agents, which may share an environment with the dashboard.
_OF_AGENTS: Final = ("URL", "TOKEN", "STATE_DIR")
_YES: Final = ("1", "true", "yes", "on")
_NO: Final = ("0", "false", "no", "off")


class Variables:
    """The variables of one environment. `known` lists the names that were read."""

    def __init__(self, env: Mapping[str, str] = os.environ) -> None:
        self._env = env
        self.known: list[str] = []

    def text(self, name: str, default: str = "") -> str:
        """The value as it is. A newline at the end of a file is removed."""
        self.known.append(name)
        variable, file = PREFIX + name, PREFIX + name + "_FILE"
        if file not in self._env:
            return self._env.get(variable, default)
        if variable in self._env:
            raise ImproperlyConfigured(f"{variable} and {file} are both set; set one of them")
        path = self._env[file]
        try:
            return Path(path).read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not text"
            raise ImproperlyConfigured(
                f"{file} is {path!r}, which cannot be read ({why}); it must name a file that holds "
                f"the value of {variable}"
            ) from None

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean."""
        value = self.text(name, "1" if default else "0").strip().lower()
        if value not in _YES + _NO:
            _refuse(name, value, "1 (true, yes, on) or 0 (false, no, off)")
        return value in _YES

    def number(self, name: str, default: float, low: float, high: float, unit: str = "") -> float:
        """A number between two bounds."""
        value = self.text(name, str(default))
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not low <= number <= high:
            _refuse(name, value, f"a number from {low:g} to {high:g} {unit}".rstrip())
        return number

    def whole(self, name: str, default: int, low: int, high: int, unit: str = "") -> int:
        """A whole number between two bounds."""
        value = self.text(name, str(default))
        try:
            number = int(value)
        except ValueError:
            number = low - 1
        if not low <= number <= high:
            _refuse(name, value, f"a whole number from {low} to {high} {unit}".rstrip())
        return number

    def choice(self, name: str, default: str, among: Sequence[str]) -> str:
        """One of the given words."""
        value = self.text(name, default).strip()
        if value not in among:
            _refuse(name, value, " or ".join(among))
        return value

    def names(self, name: str, default: Sequence[str] = (), right: str = "") -> list[str]:
        """Words separated by commas; each must begin with one of the words of `right`, if given."""
        value = self.text(name, ",".join(default))
        names = [each.strip() for each in value.split(",") if each.strip()]
        starts = tuple(right.split())
        for each in names:
            if starts and not each.startswith(starts):
                _refuse(name, each, " or ".join(f"{start}…" for start in starts))
        return names

    def address(self, name: str, default: str, schemes: Sequence[str]) -> str:
        """A URL with one of the given schemes; empty if the default is. The error shows only the
        scheme, because the rest may be secret."""
        value = self.text(name, default).strip()
        if not value and not default:
            return ""
        scheme = value.partition("://")[0]
        if "://" not in value or scheme not in schemes:
            shown = f"{scheme}://…" if "://" in value else value
            _refuse(name, shown, "an address that begins with " + schemes_in_words(schemes))
        return value

    def database(self, name: str, default: str) -> dict[str, object]:
        """A database configuration for Django."""
        value = self.address(name, default, ("sqlite", "postgres", "postgresql"))
        parsed: dict[str, object] = environ.Env.db_url_config(value)
        if not parsed.get("NAME"):
            _refuse(name, value.partition("://")[0] + "://…", "an address with a database's name")
        return parsed

    def certificates(self, name: str) -> list[x509.Certificate]:
        """Certificates in PEM, none by default."""
        value = self.text(name).strip()
        try:
            return x509.load_pem_x509_certificates(value.encode()) if value else []
        except ValueError:
            _refuse(name, value, "certificates in PEM (-----BEGIN CERTIFICATE-----)")

    def unknown(self) -> list[str]:
        """A message for each variable with the prefix that is not a setting."""
        messages = []
        for variable in sorted(self._env):
            name = variable.removeprefix(PREFIX).removesuffix("_FILE")
            if not variable.startswith(PREFIX) or name in self.known or name.startswith(_OF_AGENTS):
                continue
            near = difflib.get_close_matches(name, self.known, 1)
            meant = f"; did you mean {PREFIX}{near[0]}?" if near else ""
            messages.append(f"{variable} is not a setting{meant}")
        return messages


def schemes_in_words(schemes: Sequence[str]) -> str:
    """The schemes joined for an error message.

    >>> schemes_in_words(("a", "b", "c"))
    'a://, b:// or c://'
    """
    *first, last = (f"{scheme}://" for scheme in schemes)
    return f"{', '.join(first)} or {last}" if first else last


def origin_of(url: str) -> list[str]:
    """The origin of an address, or nothing without one.

    >>> origin_of("https://id.example/realms/main")
    ['https://id.example']
    """
    parts = urlsplit(url)
    return [f"{parts.scheme}://{parts.netloc}"] if parts.netloc else []


def _refuse(name: str, value: str, right: str) -> NoReturn:
    raise ImproperlyConfigured(f"{PREFIX}{name} is {value[:120]!r}; it must be {right}")
