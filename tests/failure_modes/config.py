"""What an endpoint's process is told at its start."""

from __future__ import annotations

import msgspec


class Config(msgspec.Struct):
    """Addresses of the dependencies, and what a mode needs besides."""

    version: str
    peers: dict[str, list[str]]
    redis: int
    dns: int
    prefix: str
    ttl_ms: int = 300
    ca: str = ""
    dashboard: str = ""
    token: str = ""
    warms_before_fork: bool = False
