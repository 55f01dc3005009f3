"""Where the demo of one port keeps its database, its secrets and its lock: `.demo/<port>/`."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(os.environ.get("DEMO_DIR") or ROOT / ".demo").resolve()
PEOPLE = ("operator", "viewer", "admin")
SERVICES = ("profile-api", "web")
# No vowels and no look-alikes: easy to read aloud, and no words by accident.
_LETTERS = "bcdfghjkmnpqrstvwxz23456789"


@dataclass(frozen=True, slots=True)
class State:
    """The files of the demo whose dashboard listens on `port`."""

    port: int

    @property
    def directory(self) -> Path:
        """Made on first use, for its owner's eyes only."""
        path = HOME / str(self.port)
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path

    @property
    def url(self) -> str:
        """The dashboard's address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def database(self) -> Path:
        """The dashboard's SQLite file."""
        return self.directory / "db.sqlite3"

    @property
    def log(self) -> Path:
        """What the dashboard says."""
        return self.directory / "dashboard.log"

    @property
    def down(self) -> Path:
        """There while the demo runs without its dashboard."""
        return self.directory / "dashboard.down"

    def password(self, person: str) -> Path:
        """The file with a person's password, made up on first use."""
        groups = ("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(3))
        return self._secret(f"{person}.password", "-".join(groups))

    def token(self, service: str) -> Path:
        """The file with the token of a service's agents, made up on first use."""
        return self._secret(f"{service}.token", "swg_" + secrets.token_urlsafe(32))

    def environment(self, demo_url: str = "") -> dict[str, str]:
        """The variables of this demo's dashboard; others that are set stay as they are."""
        key = self._secret("secret_key", secrets.token_urlsafe(48))
        replaced = ("SECRET_KEY", "DATABASE_URL", "STATIC_ROOT", "ALLOWED_HOSTS", "DEMO_URL")
        env = {
            name: value
            for name, value in os.environ.items()
            if name.removeprefix("SWITCHGEAR_").removesuffix("_FILE") not in replaced
        }
        return env | {
            "DJANGO_SETTINGS_MODULE": "dashboard.settings",
            "SWITCHGEAR_SECRET_KEY_FILE": str(key),
            "SWITCHGEAR_DATABASE_URL": f"sqlite:///{quote(str(self.database))}",
            "SWITCHGEAR_STATIC_ROOT": str(self.directory / "static"),
            "SWITCHGEAR_ALLOWED_HOSTS": "localhost,127.0.0.1",
            "SWITCHGEAR_DEMO_URL": demo_url,
            "SWITCHGEAR_PUBLIC_URL": os.environ.get("SWITCHGEAR_PUBLIC_URL", self.url),
            # On this machine only; a look at them is part of the demo.
            "SWITCHGEAR_METRICS": os.environ.get("SWITCHGEAR_METRICS", "open"),
        }

    def stale(self) -> list[str]:
        """What has to be prepared before the dashboard can start: database, static files, both."""
        missing = {"database": not self.database.exists()}
        return [
            step
            for step, digest in _digests().items()
            if missing.get(step) or _read(self._stamp(step)) != digest
        ]

    def prepared(self, steps: Iterable[str]) -> None:
        """Note that these steps are done."""
        digests = _digests()
        for step in steps:
            self._stamp(step).write_text(digests[step])

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Hold the demo's lock meanwhile; False where another process holds it."""
        with (self.directory / "demo.lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield True

    def owner(self) -> int | None:
        """The process that runs this demo, or None."""
        path = HOME / str(self.port) / "demo.lock"
        if not path.exists():
            return None
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read() or 0) or None
        return None

    def port_is_free(self) -> bool:
        """Whether the dashboard could listen."""
        try:
            socket.create_server(("127.0.0.1", self.port)).close()
        except OSError:
            return False
        return True

    def _stamp(self, step: str) -> Path:
        return self.directory / f"{step}.stamp"

    def _secret(self, name: str, value: str) -> Path:
        path = self.directory / name
        if not path.exists():
            draft = path.with_suffix(".new")
            draft.unlink(missing_ok=True)
            with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as f:
                f.write(value)
            draft.replace(path)
        return path


def known() -> list[State]:
    """Every demo that was ever started from here, the one used last first."""
    found = [path for path in HOME.glob("*/demo.lock") if path.parent.name.isdecimal()]
    found.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    return [State(int(path.parent.name)) for path in found]


def _digests() -> dict[str, str]:
    """What each step of the preparation depends on, as a digest."""
    lock = ROOT / "requirements" / "requirements.lock"
    code = ROOT / "dashboard"
    return {
        "database": _digest([lock, *code.glob("*/migrations/*.py"), *code.glob("access/**/*.py")]),
        "static": _digest([lock, *(ROOT / "static").rglob("*"), *code.glob("*/static/**/*")]),
    }


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        if path.is_file():
            digest.update(f"{path.relative_to(ROOT)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""
