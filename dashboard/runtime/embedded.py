"""The embedded shape: one fleet worker and the beat run in the event loop of the web process."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from django.conf import settings

from dashboard.fleet.worker import FleetWorker
from dashboard.observability.process_metrics import add_worker_gauges
from dashboard.runtime.beat import beat
from dashboard.runtime.wiring import make_worker

logger = logging.getLogger("switchgear")


class Embedded:
    """Starts and stops the fleet worker and the beat with the server."""

    def __init__(self) -> None:
        self.worker: FleetWorker | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start the tasks, inside the running event loop."""
        self.worker = make_worker()
        add_worker_gauges(self.worker)
        self._tasks = [
            asyncio.create_task(self.worker.run(), name="fleet"),
            asyncio.create_task(beat(settings.CELERY_BEAT_SCHEDULE), name="beat"),
        ]
        for task in self._tasks:
            task.add_done_callback(_log_failure)

    async def stop(self) -> None:
        """Stop the tasks; the worker stores a last checkpoint."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks = []


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        logger.error("the task %s failed", task.get_name(), exc_info=error)


embedded = Embedded()
