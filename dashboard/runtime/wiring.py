"""Builds a fleet worker: the one place that connects `fleet` with the layers above it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from django.conf import settings
from django.db import connection, transaction

from dashboard.bus import bus
from dashboard.control import quorum
from dashboard.control.queries import override_infos
from dashboard.fleet import services as fleet
from dashboard.fleet.batch_merging import as_json, merged, services
from dashboard.fleet.checkpoint_batch import Batch, CursorKey
from dashboard.fleet.cursors import cursors_of, gaps_of, keep_cursors
from dashboard.fleet.quorum import QuorumEnd, QuorumTrip, RuleOf
from dashboard.fleet.state import FleetState
from dashboard.fleet.worker import FleetWorker, Inherited
from dashboard.history import queries as history_queries
from dashboard.history import services as history
from dashboard.observability import metrics
from dashboard.policies import rollouts
from dashboard.policies import services as policies
from dashboard.policies.fleet_rules import fleet_rules


class DatabaseStore:
    """Checkpoints in the database: history, cursors and what code declares, all or nothing."""

    @transaction.atomic
    def inherit(self, partitions: frozenset[int]) -> Inherited:
        epochs = fleet.fence_off(partitions)
        names = fleet.services_of(partitions)
        known = set(names)
        last = history_queries.last_transitions()
        return Inherited(
            epochs,
            names,
            cursors_of(names),
            gaps_of(names),
            {key: each for key, each in last.items() if key[0] in known},
            history_queries.resumable_outages(known),
        )

    def still_reported(self, breakers: Mapping[str, Collection[str]]) -> Collection[CursorKey]:
        for service, names in breakers.items():
            policies.note_reported(service, names)
        return cursors_of(breakers).keys()

    def absorb(self, batches: Sequence[Batch]) -> None:
        with metrics.checkpoint_s.time():
            try:
                self._absorb(batches)
            except Exception:
                metrics.counters.checkpoint_failures += 1
                raise

    @transaction.atomic
    def _absorb(self, batches: Sequence[Batch]) -> None:
        fleet.check_fence({each.partition: each.epoch for each in batches})
        batch = merged(batches)
        fleet.keep_services({service for service, _, _ in batch.cursors})
        history.absorb(batch)
        keep_cursors(batch.cursors, batch.gaps)
        policies.note_declared(batch.declared, batch.honours)
        rollouts.absorb(
            {
                rollouts.ArmKey(*key): (arm.instance, arm.calls, arm.failures)
                for key, arm in batch.arms.items()
            }
        )

    @transaction.atomic
    def put_aside(self, batch: Batch, error: str) -> None:
        fleet.check_fence({batch.partition: batch.epoch})
        for service in services(batch):
            fleet.put_aside(service, as_json(batch), error)
        keep_cursors(batch.cursors, batch.gaps)


class StoredQuorums:
    """Quorum rules of the stored policies; their overrides are the control plane's."""

    def rules(self) -> RuleOf | None:
        rules = fleet_rules()
        return rules.quorum_of if rules.has_quorum else None

    def act(self, due: QuorumTrip | QuorumEnd) -> object:
        return quorum.trip(due) if isinstance(due, QuorumTrip) else quorum.end(due)


def make_worker() -> FleetWorker:
    """A fleet worker configured by the settings."""
    return FleetWorker(
        bus(),
        DatabaseStore(),
        override_infos,
        state=FleetState(settings.REPORT_INTERVAL_S, settings.STALE_AFTER_INTERVALS),
        tick_s=settings.TICK_S,
        checkpoint_s=settings.CHECKPOINT_S,
        watched=rollouts.watched,
        quorums=StoredQuorums(),
        # SQLite has one writer: two lanes would wait for each other.
        parallel=connection.vendor == "postgresql",
        forgotten=fleet.forgotten_instances,
    )
