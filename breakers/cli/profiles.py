"""Profiles: the address and token of each dashboard, in a file that only its owner can read.

`$SWITCHGEAR_CONFIG`, or `~/.config/switchgear/config.json`.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

DEFAULT = "default"


@dataclass(frozen=True)
class Profile:
    """How to reach one dashboard."""

    url: str = "http://127.0.0.1:8000"
    token: str = ""


def path() -> Path:
    """The file of the profiles."""
    if named := os.environ.get("SWITCHGEAR_CONFIG"):
        return Path(named)
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "switchgear" / "config.json"


def load(name: str) -> Profile:
    """A profile; the variables SWITCHGEAR_URL and SWITCHGEAR_API_TOKEN take precedence."""
    found = _read().get(name, {})
    stored = Profile(**{k: v for k, v in found.items() if k in ("url", "token")})
    return Profile(
        os.environ.get("SWITCHGEAR_URL") or stored.url,
        os.environ.get("SWITCHGEAR_API_TOKEN") or stored.token,
    )


def names() -> list[str]:
    """The names of all profiles."""
    return sorted(_read())


def save(name: str, profile: Profile) -> Path:
    """Store a profile. The file is replaced at once, with mode 600."""
    profiles = _read()
    profiles[name] = asdict(profile)
    file = path()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = file.with_suffix(f".{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        json.dump(profiles, out, indent=2)
    temporary.replace(file)
    return file


def _read() -> dict[str, dict[str, Any]]:
    try:
        found = json.loads(path().read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ValueError(f"{path()} cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path()} is not a JSON object of profiles")
    return found
