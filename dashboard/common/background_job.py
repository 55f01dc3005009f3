"""Work that the beat starts in a thread of its own: the beat has other tasks, and does not wait for
something outside that hangs. One run at a time; a run that fails is logged and tried again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

from django.db import close_old_connections, connection

logger = logging.getLogger("switchgear.background")


class BackgroundJob:
    """One kind of work. `name` is that of its thread and in the log."""

    def __init__(self, name: str, work: Callable[[], object]) -> None:
        self.name: Final = name
        self._work = work
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> bool:
        """Run it now. Returns whether it was started: not while the last run lasts."""
        with self._starting:
            if self._thread is not None and self._thread.is_alive():
                return False
            self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
            self._thread.start()
        return True

    def join(self, timeout_s: float) -> bool:
        """Wait for the end of the run, if one is under way. Returns whether it has ended."""
        if self._thread is not None:
            self._thread.join(timeout_s)
        return self._thread is None or not self._thread.is_alive()

    def _run(self) -> None:
        close_old_connections()
        try:
            self._work()
        except Exception:
            logger.exception("%s failed; it is tried again", self.name)
        finally:
            connection.close()
