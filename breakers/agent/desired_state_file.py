"""The last desired state on disk, so that a service that restarts during an outage of the
dashboard still honours its operators' overrides.

One file for each service, shared by its processes on the machine: what it holds is the service's.
What is left of an expiry counts on while the service is down, by the wall clock; a wall clock
that was set back lengthens nothing beyond what was left when the file was written.
"""

from __future__ import annotations

import logging
import os
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from breakers.clock import Clock
from breakers.protocol import messages as wire
from breakers.protocol.ageing import aged

logger = logging.getLogger("breakers.agent")
_FORMAT: Final = 1


class _Kept(msgspec.Struct):
    service: str
    saved_at: float
    desired: wire.Desired
    format: int = _FORMAT


class DesiredFile:
    """Reads and writes it. Never raises: whatever fails is logged, each kind of failure once."""

    def __init__(self, directory: Path, service: str, clock: Clock) -> None:
        readable = "".join(c if c.isascii() and c.isalnum() else "-" for c in service)[:60]
        unique = sha256(service.encode()).hexdigest()[:8]
        self.path = directory / f"{readable}-{unique}.desired.json"
        self._service = service
        self._clock = clock
        self._write_failed = False

    def load(self) -> wire.Desired | None:
        """The desired state as it stands now; None if there is none to be had."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            logger.warning("the last desired state cannot be read: %s", error)
            return None
        try:
            kept = msgspec.json.decode(data, type=_Kept)
            if kept.format != _FORMAT or kept.service != self._service:
                raise ValueError(f"it is of service {kept.service!r}, format {kept.format}")
        except (ValueError, RecursionError) as error:
            logger.warning("%s is ignored, it is not a desired state: %s", self.path, error)
            return None
        return self._aged(kept)

    def _aged(self, kept: _Kept) -> wire.Desired:
        return aged(kept.desired, max(0.0, self._clock.wall() - kept.saved_at))

    def save(self, desired: wire.Desired) -> None:
        """Replace the file in one step: a reader sees the old one or the new one, whole."""
        kept = _Kept(self._service, self._clock.wall(), desired)
        scratch = self.path.with_suffix(f".{os.getpid()}.tmp")
        try:
            descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.encode(kept))
                file.flush()
                os.fsync(file.fileno())
            scratch.replace(self.path)
            self._write_failed = False
        except OSError as error:
            if not self._write_failed:
                logger.warning("the desired state cannot be kept on disk: %s", error)
            self._write_failed = True
