"""Where the production shape keeps its state, and where its processes listen."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from examples.demo import state as demo
from examples.demo.state import SERVICES, State

# The variable that each process's port comes from, and its default.
PORTS: Final = {
    "BALANCER_PORT": 8000,
    "WEB1_PORT": 8011,
    "WEB2_PORT": 8012,
    "FLEET1_PORT": 8021,
    "FLEET2_PORT": 8022,
    "WORKER_PORT": 8023,
    "POSTGRES_PORT": 8032,
    "REDIS_PORT": 8079,
    "DIRECTOR_PORT": 8247,
}


class BadPort(ValueError):
    """A port variable that names no port, in words for people."""


def ports_of(env: Mapping[str, str]) -> dict[str, int]:
    """Each port, from its variable or by default.

    Raises:
        BadPort: a variable names no port.
    """
    found = {}
    for name, default in PORTS.items():
        text = env.get(name) or str(default)
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65_535:
            raise BadPort(f"{name} is {text!r}; it must be a port from 1 to 65535")
        found[name] = int(text)
    return found


@dataclass(frozen=True, slots=True)
class Production(State):
    """The files of the production shape: `.demo/production/`, or in DEMO_DIR."""

    ports: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, env: Mapping[str, str]) -> Production:
        """As the variables say.

        Raises:
            BadPort: one of them names no port.
        """
        ports = ports_of(env)
        return cls(ports["BALANCER_PORT"], ports)

    @property
    def directory(self) -> Path:
        path = demo.HOME / "production"
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        return path

    @property
    def database(self) -> Path:
        """What is there once the database was prepared."""
        return self._stamp("database")

    @property
    def log(self) -> Path:
        return self.directory / "production.log"

    def database_url(self) -> str:
        """Where PostgreSQL is, with its password."""
        password = self._secret("postgres.password", secrets.token_hex(24)).read_text()
        port = self.ports["POSTGRES_PORT"]
        return f"postgres://switchgear:{password}@127.0.0.1:{port}/postgres"

    def bus_url(self) -> str:
        """Where Redis is, with its password."""
        return f"redis://:{self._redis_password()}@127.0.0.1:{self.ports['REDIS_PORT']}/0"

    def _redis_password(self) -> str:
        return self._secret("redis.password", secrets.token_hex(24)).read_text()

    def environment(self, demo_url: str = "") -> dict[str, str]:
        """The variables of every process; secrets are named by the files they are in, which the
        first to come makes."""
        with (self.directory / "secrets.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            return self._environment(demo_url)

    def _environment(self, demo_url: str) -> dict[str, str]:
        url = f"http://127.0.0.1:{self.port}"
        demo_url = demo_url or f"http://127.0.0.1:{self.ports['DIRECTOR_PORT']}"
        env = State.environment(self, demo_url)
        for name in ("SWITCHGEAR_DATABASE_URL", "SWITCHGEAR_BUS_URL"):
            env.pop(name, None)
        tokens = {
            "SWITCHGEAR_TOKEN_" + name.upper().replace("-", "_"): self.token(name).read_text()
            for name in SERVICES
        }
        return env | {
            **{name: str(port) for name, port in self.ports.items()},
            **tokens,
            "SWITCHGEAR_DATABASE_URL_FILE": str(self._kept("database_url", self.database_url())),
            "SWITCHGEAR_BUS_URL_FILE": str(self._kept("bus_url", self.bus_url())),
            "SWITCHGEAR_URL": url,
            "SHOP_DIR": str(self.directory),
            "SWITCHGEAR_LOG_FORMAT": os.environ.get("SWITCHGEAR_LOG_FORMAT", "text"),
            # honcho gives all of them five seconds.
            "SWITCHGEAR_DRAIN": "2",
            "BEAT_FILE": str(self.directory / "beat"),
            "REDIS_CONF": str(self._redis_conf()),
        }

    def _redis_conf(self) -> Path:
        """What a crash takes with it is sent again; keeping it saves that."""
        data = self.directory / "redis"
        data.mkdir(exist_ok=True, mode=0o700)
        lines = (
            "bind 127.0.0.1",
            f"port {self.ports['REDIS_PORT']}",
            f"requirepass {self._redis_password()}",
            f'dir "{data}"',
            "appendonly yes",
            "appendfsync everysec",
            "loglevel warning",
        )
        return self._kept("redis.conf", "\n".join(lines) + "\n")

    def _kept(self, name: str, text: str) -> Path:
        """A file for its owner's eyes with this text in it."""
        path = self.directory / name
        if not path.exists() or path.read_text() != text:
            draft = path.with_suffix(".new")
            draft.unlink(missing_ok=True)
            with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as f:
                f.write(text)
            draft.replace(path)
        return path
