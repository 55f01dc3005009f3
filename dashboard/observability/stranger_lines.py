"""What strangers make the server log: bounded, so that nobody fills the disk with lines."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

_EACH_S: Final = 60.0
# uvicorn says so of each connection that was refused with an answer: it was, and is counted.
_FALSE: Final = "ASGI callable returned without completing handshake."
_BOUNDED: Final = frozenset({"Invalid HTTP request received.", "Unsupported upgrade request."})


class StrangerLines(logging.Filter):
    """Drops a false alarm of the server, and lets each complaint about bytes that are no HTTP
    through once a minute, with the number of those in between."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._last: dict[str, float] = {}
        self._dropped: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.msg
        if message == _FALSE:
            return False
        if message not in _BOUNDED:
            return True
        now = self._now()
        if now - self._last.get(message, -_EACH_S) < _EACH_S:
            self._dropped[message] = self._dropped.get(message, 0) + 1
            return False
        self._last[message] = now
        if more := self._dropped.pop(message, 0):
            record.msg = f"{message} {more} more since the last line."
        return True
