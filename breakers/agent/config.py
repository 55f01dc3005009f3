"""What the agent needs to know, from arguments and the environment; checked before it starts."""

from __future__ import annotations

import ipaddress
import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from breakers.agent.obedience import Obedience, read_obey
from breakers.errors import BreakerError
from breakers.protocol import names
from breakers.protocol.paths import SOCKET

MIN_INTERVAL_S: Final = 0.25
MAX_INTERVAL_S: Final = 300.0
TRANSPORTS: Final = ("auto", "websocket", "http")
FORMATS: Final = ("msgpack", "json")

_SCHEMES: Final = {"ws": "http", "wss": "https", "http": "http", "https": "https"}


class AgentConfigError(BreakerError, ValueError):
    """The agent cannot start as it is configured; the message names the parameter to change."""


@dataclass(frozen=True)
class AgentConfig:
    """The agent's settings; durations are seconds, sizes bytes. `read_config` makes it.

    `token_file`, where it is given, is read again at each connection.
    `base` is the dashboard's address as http or https, without a trailing slash. `instance` may
    hold `{pid}`; None names the process by host and process id.
    """

    base: str
    token: str
    service: str
    token_file: Path | None = None
    instance: str | None = None
    version: str = ""
    zone: str = ""
    tags: tuple[str, ...] = ()
    obedience: Obedience = field(default_factory=Obedience)
    state_dir: Path | None = None
    transport: str = "auto"
    format: str = "msgpack"
    compress: bool = False
    interval_s: float = 1.0
    buffer_bytes: int = 4 * 1024 * 1024
    timeout_s: float = 5.0
    ping_s: float = 10.0
    reconnect_max_s: float = 3.0
    flush_s: float = 1.0
    ssl_context: ssl.SSLContext | None = None

    def current_token(self) -> str:
        """The token for a new connection: what the token file holds now, so that a rotated token
        needs no restart. A file that cannot be read, or holds no token, changes nothing."""
        if self.token_file is None:
            return self.token
        try:
            token = self.token_file.read_text().strip()
        except (OSError, UnicodeDecodeError):
            return self.token
        return token if token and _is_token(token) else self.token

    @property
    def socket_url(self) -> str:
        """Where the WebSocket is opened."""
        return "ws" + self.base.removeprefix("http") + SOCKET

    def instance_of(self, pid: int, parent: int | None = None) -> str:
        """This process's name, which no other process of the service has.

        A child after fork puts its process id behind a fixed name, lest it share its parent's.
        """
        if self.instance is None:
            return f"{socket.gethostname()[:100]}-{pid}"
        if "{pid}" in self.instance:
            return self.instance.replace("{pid}", str(pid))
        return self.instance if parent is None else f"{self.instance}-{pid}"


def read_config(
    *,
    url: str | None = None,
    token: str | None = None,
    service: str | None = None,
    instance: str | None = None,
    state_dir: str | os.PathLike[str] | None = None,
    obey: str | Mapping[str, object] | None = None,
    faults: tuple[str, ...] = (),
    faults_in_production: bool = False,
    environment: str | None = None,
    allow_plaintext: bool | None = None,
    environ: Mapping[str, str] = os.environ,
    **rest: object,
) -> AgentConfig | None:
    """The settings from arguments, and where those are None from SWITCHGEAR_* variables.

    None if no dashboard is configured. A token may come from the file SWITCHGEAR_TOKEN_FILE names.

    Raises:
        AgentConfigError: something is missing or wrong; the message names it.
    """
    url = _given(url, environ, "URL")
    if url is None:
        return None
    directory = _given(None if state_dir is None else os.fspath(state_dir), environ, "STATE_DIR")
    config = AgentConfig(
        base=_base(url, _allows_plaintext(allow_plaintext, environ)),
        token=_token(token, environ),
        token_file=_token_file(token, environ),
        service=_name("service", _given(service, environ, "SERVICE"), required=True) or "",
        instance=_name("instance", _given(instance, environ, "INSTANCE"), required=False),
        state_dir=None if directory is None else _directory(Path(directory)),
        obedience=replace(
            _obedience(obey, environ),
            faults=frozenset(_name("faults", each, required=True) or "" for each in faults),
            environment=_given(environment, environ, "ENVIRONMENT") or "",
            faults_in_production=faults_in_production,
        ),
        **rest,  # type: ignore[arg-type]  # start() has typed them
    )
    _check(config)
    return config


def _given(value: str | None, environ: Mapping[str, str], name: str) -> str | None:
    return value if value is not None else environ.get(f"SWITCHGEAR_{name}", "").strip() or None


def _obedience(obey: str | Mapping[str, object] | None, environ: Mapping[str, str]) -> Obedience:
    if obey is None:
        obey = environ.get("SWITCHGEAR_OBEY", "").strip() or None
    try:
        return read_obey(obey)
    except ValueError as error:
        raise AgentConfigError(f"SWITCHGEAR_OBEY (obey): {error}") from None


def _allows_plaintext(given: bool | None, environ: Mapping[str, str]) -> bool:
    if given is not None:
        return given
    text = environ.get("SWITCHGEAR_ALLOW_PLAINTEXT", "").strip() or "0"
    if text not in ("0", "1"):
        raise AgentConfigError(
            f"SWITCHGEAR_ALLOW_PLAINTEXT (allow_plaintext) is {text[:40]!r}; it must be 0 or 1"
        )
    return text == "1"


def _is_local(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _base(url: str, allow_plaintext: bool = False) -> str:
    def wrong(why: str) -> AgentConfigError:
        return AgentConfigError(
            f"SWITCHGEAR_URL (url) is {url!r}: {why}; "
            "give the dashboard's address, such as wss://switchgear.example.com"
        )

    try:
        parts: SplitResult = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise wrong(str(error)) from None
    if parts.scheme not in _SCHEMES:
        raise wrong(f"its scheme must be one of {', '.join(_SCHEMES)}")
    if not parts.hostname:
        raise wrong("it names no host")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise wrong("it must hold neither user, password, query nor fragment")
    if _SCHEMES[parts.scheme] == "http" and not (allow_plaintext or _is_local(parts.hostname)):
        raise wrong(
            "the token would travel unencrypted to another host; use wss or https, or set "
            "SWITCHGEAR_ALLOW_PLAINTEXT=1 (allow_plaintext=True) within a trusted network"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = parts.path.rstrip("/").removesuffix(SOCKET).rstrip("/")
    return f"{_SCHEMES[parts.scheme]}://{host}{f':{port}' if port is not None else ''}{path}"


def _token(token: str | None, environ: Mapping[str, str]) -> str:
    token = _given(token, environ, "TOKEN")
    file = environ.get("SWITCHGEAR_TOKEN_FILE")
    if token is None and file:
        try:
            token = Path(file).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise AgentConfigError(f"SWITCHGEAR_TOKEN_FILE is {file!r}: {error}") from None
    if not token:
        raise AgentConfigError(
            "SWITCHGEAR_TOKEN (token) is not set: SWITCHGEAR_URL is, and the dashboard takes "
            "reports only with the token of the service"
        )
    if not _is_token(token):
        raise AgentConfigError("SWITCHGEAR_TOKEN (token) holds characters that no token has")
    return token


def _is_token(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def _token_file(token: str | None, environ: Mapping[str, str]) -> Path | None:
    """The file that the token came from, if it did."""
    file = environ.get("SWITCHGEAR_TOKEN_FILE")
    return Path(file) if file and _given(token, environ, "TOKEN") is None else None


def _name(parameter: str, value: str | None, required: bool) -> str | None:
    variable = f"SWITCHGEAR_{parameter.upper()} ({parameter})"
    if value is None and required:
        raise AgentConfigError(f"{variable} is not set: name the service that this process is of")
    if value is not None and (wrong := names.problem(value)):
        raise AgentConfigError(f"{variable} is {value[:140]!a}: {wrong}")
    return value


def _directory(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AgentConfigError(
            f"SWITCHGEAR_STATE_DIR (state_dir) is {str(path)!r}: {error.strerror}; "
            "name a directory that this process may write to"
        ) from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise AgentConfigError(
            f"SWITCHGEAR_STATE_DIR (state_dir) is {str(path)!r}: this process may not write there"
        )
    return path


def _check(config: AgentConfig) -> None:
    if len(config.tags) > 32:
        raise AgentConfigError(f"tags has {len(config.tags)} entries; it must have at most 32")
    for tag in config.tags:
        _name("tags", tag, required=True)
    bounds: dict[str, tuple[float, float]] = {
        "interval_s": (MIN_INTERVAL_S, MAX_INTERVAL_S),
        "buffer_bytes": (64 * 1024, 1024**3),
        "timeout_s": (0.1, 60.0),
        "ping_s": (1.0, 300.0),
        "reconnect_max_s": (0.1, 300.0),
        "flush_s": (0.0, 30.0),
    }
    for name, (low, high) in bounds.items():
        value = getattr(config, name)
        if not low <= value <= high:
            raise AgentConfigError(f"{name} is {value!r}; it must be from {low:g} to {high:g}")
    for name, choices in (("transport", TRANSPORTS), ("format", FORMATS)):
        if getattr(config, name) not in choices:
            raise AgentConfigError(
                f"{name} is {getattr(config, name)!r}; it must be one of {', '.join(choices)}"
            )
