"""The parts of the dashboard that run beside the web faces in the embedded shape: one fleet worker
and the beat, in the event loop of the one process."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from django.conf import settings
from django.db import transaction

from dashboard.beat import beat
from dashboard.bus import bus
from dashboard.control.queries import override_infos
from dashboard.fleet import services as fleet
from dashboard.fleet.batch import Batch
from dashboard.fleet.models import Service
from dashboard.fleet.state import FleetState
from dashboard.fleet.worker import FleetWorker
from dashboard.history import queries as history_queries
from dashboard.history import services as history
from dashboard.policies import services as policies

logger = logging.getLogger("switchgear")


class DatabaseStore:
    """Checkpoints in the database: history, cursors and what code declares, all or nothing."""

    def restore(self, state: FleetState) -> None:
        state.restore(
            Service.objects.values_list("name", flat=True),
            fleet.cursors(),
            history_queries.last_transitions(),
        )

    @transaction.atomic
    def absorb(self, batch: Batch) -> None:
        fleet.keep_services({service for service, _, _ in batch.cursors})
        history.absorb(batch)
        fleet.keep_cursors(batch.cursors)
        for service, declared in batch.declared.items():
            policies.note_declared(service, declared)


def make_worker() -> FleetWorker:
    """A fleet worker as the settings say."""
    return FleetWorker(
        bus(),
        DatabaseStore(),
        override_infos,
        state=FleetState(settings.REPORT_INTERVAL_S, settings.STALE_AFTER_INTERVALS),
        tick_s=settings.TICK_S,
        checkpoint_s=settings.CHECKPOINT_S,
    )


class Embedded:
    """Starts and stops the fleet worker and the beat with the server."""

    def __init__(self) -> None:
        self.worker: FleetWorker | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin, inside the running event loop."""
        self.worker = make_worker()
        self._tasks = [
            asyncio.create_task(self.worker.run(), name="fleet"),
            asyncio.create_task(beat(settings.CELERY_BEAT_SCHEDULE), name="beat"),
        ]
        for task in self._tasks:
            task.add_done_callback(_tell_if_it_died)

    async def stop(self) -> None:
        """End, with a last checkpoint."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks = []


def _tell_if_it_died(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        logger.error("the %s died", task.get_name(), exc_info=error)


embedded = Embedded()
