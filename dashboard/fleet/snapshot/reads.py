"""The pages' first view, read from the mirror that the live sockets are fed from.

A page and the live room are both faces and may not import each other; the composition root hands
the mirror over.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from dashboard.fleet.frame_types import BreakerView


class Mirrored(Protocol):
    """What pages ask of the mirror."""

    def snapshot(
        self, wanted: Iterable[str] | None = None, lean: bool = False
    ) -> dict[str, Any]: ...

    def breaker(self, service: str, name: str) -> BreakerView | None: ...


class _Empty:
    def snapshot(self, wanted: Iterable[str] | None = None, lean: bool = False) -> dict[str, Any]:
        return {"type": "snapshot", "at": 0.0, "now": 0.0, "services": []}

    def breaker(self, service: str, name: str) -> BreakerView | None:
        return None


_mirror: Mirrored = _Empty()


def use(mirror: Mirrored) -> None:
    """Read from this mirror from now on."""
    global _mirror
    _mirror = mirror


def snapshot(service: str | None = None) -> dict[str, Any]:
    """Everything known now, of one service or of all."""
    return _mirror.snapshot(None if service is None else [service])


def lean_snapshot() -> dict[str, Any]:
    """Everything known now, without what each instance says."""
    return _mirror.snapshot(lean=True)


def breaker_view(service: str, breaker: str) -> BreakerView | None:
    """The latest of one breaker."""
    return _mirror.breaker(service, breaker)
