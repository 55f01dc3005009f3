"""Puts a fleet worker together: the one place where the fleet meets the rooms above it."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

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
