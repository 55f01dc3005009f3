"""Evaluates the rules every second over the fleet snapshot of a web process.

A lease in the database makes one process the evaluator; another takes over within `leases.LEASE_S`
after it has died, and resumes from the firings that are stored, so that nothing fires twice.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.db import close_old_connections, transaction

from dashboard.alerts import outbox, queries
from dashboard.alerts.cause import Graph
from dashboard.alerts.evaluation import Change, Evaluator
from dashboard.alerts.facts import facts_of
from dashboard.alerts.impact import Impact, impact_of, instances_of
from dashboard.alerts.incidents import apply
from dashboard.alerts.leases import release, take
from dashboard.alerts.models import Incident, OutboxMessage
from dashboard.alerts.observations import BreakerFacts
from dashboard.alerts.selection import Key
from dashboard.alerts.unapplied import UnappliedPolicies
from dashboard.alerts.version_markers import VersionsSeen, mark
from dashboard.fleet.frame_types import BreakerAtInstance
from dashboard.fleet.snapshot.store import FleetSnapshot
from dashboard.observability.metrics import add_gauge

logger = logging.getLogger("switchgear.alerts")

TICK_S: Final = 1.0
_RELOAD_S: Final = 5.0
# Counts of a minute are complete after the next checkpoints.
_MINUTE_DELAY_S: Final = 20.0
# A frame that is older says nothing of now: the fleet worker is silent.
_OLD_S: Final = 15.0
# The wall clock has stepped if it went so much further, or less far, than the steady one.
_STEP_S: Final = 5.0
# Minutes that nobody has evaluated are history after this time: nothing fires for them.
_MISSED_S: Final = 110.0


class Runner:
    """Collects what has changed in the snapshot, and evaluates it while it holds the lease."""

    def __init__(
        self,
        fleet: FleetSnapshot,
        wall: Callable[[], float] = time.time,
        own_thread: bool = True,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fleet = fleet
        self._wall, self._steady = wall, steady
        # Pages share a thread; a long evaluation must not delay them.
        self._shares_thread = not own_thread
        self._holder = f"{socket.gethostname()}-{os.getpid()}-{id(self)}"
        self.evaluator: Evaluator | None = None
        # For each breaker the list that was seen last, and the facts of it.
        self._seen: dict[Key, tuple[list[BreakerAtInstance] | None, BreakerFacts]] = {}
        self._nodes_changed = False
        self._graph = Graph(())
        self._reloaded = 0.0
        self._minute = 0.0
        self._versions = VersionsSeen()
        self._policies = UnappliedPolicies(fleet)
        # Both clocks at the last tick.
        self._clocks: tuple[float, float] | None = None
        self._task: asyncio.Task[None] | None = None
        # Figures of the process that evaluates, for its metrics.
        self._evaluated = 0.0
        self._open_incidents = self._waiting_messages = 0

    def start(self) -> None:
        """Start, inside the running event loop."""
        self._add_gauges()
        self._task = asyncio.create_task(self._run(), name="alerts")

    def _add_gauges(self) -> None:
        add_gauge(
            "alerts_evaluating",
            "1 while this process evaluates the alert rules, else 0",
            lambda: float(time.monotonic() - self._evaluated < _OLD_S and self._evaluated > 0),
        )
        add_gauge(
            "incidents_open",
            "Open incidents; 0 in processes that do not evaluate the alert rules",
            lambda: self._open_incidents,
        )
        add_gauge(
            "messages_waiting",
            "Messages about incidents that are due and not delivered; 0 in processes that do not "
            "evaluate the alert rules",
            lambda: self._waiting_messages,
        )

    async def stop(self) -> None:
        """Stop, and release the lease."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            with suppress(Exception):
                await self._in_thread(release, self._holder)

    async def _run(self) -> None:
        while True:
            began = time.monotonic()
            try:
                await self.round()
            except Exception:
                logger.exception("the evaluation of alert rules failed; it is tried again")
                self.forget()
            await asyncio.sleep(max(0.05, TICK_S - (time.monotonic() - began)))

    async def round(self) -> None:
        """One tick: take the lease, collect, evaluate."""
        await self._in_thread(self._round, self._wall())

    def _round(self, now: float) -> None:
        """A tick, in a thread of its own: the event loop serves agents and browsers."""
        close_old_connections()
        if not take(self._holder, now):
            self.forget()
            return
        if now - self._fleet.at > _OLD_S:
            return
        steady = self._steady()
        evaluator = self.evaluator
        if evaluator is None:
            evaluator = self._resume(now)
        elif self._has_stepped(now, steady) or now - self._minute > _MISSED_S:
            self._refill(evaluator, now)
        self._clocks = (now, steady)
        self._evaluate(evaluator, now, steady)
        self._evaluated = time.monotonic()

    def _has_stepped(self, now: float, steady: float) -> bool:
        if self._clocks is None:
            return False
        went, passed = now - self._clocks[0], steady - self._clocks[1]
        if abs(went - passed) <= _STEP_S:
            return False
        logger.warning("the wall clock has stepped by %.1f s", went - passed)
        return True

    async def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await sync_to_async(work, thread_sensitive=self._shares_thread)(*arguments)

    def forget(self) -> None:
        """Drop everything: another process evaluates, or a round failed half-way."""
        self.evaluator = None
        self._evaluated = 0.0
        self._open_incidents = self._waiting_messages = 0
        self._seen.clear()
        self._nodes_changed = True
        self._clocks = None

    def _resume(self, now: float) -> Evaluator:
        evaluator = self.evaluator = Evaluator(queries.active_rules())
        self._reloaded = now
        self._policies.look(now)
        self._refill(evaluator, now)
        evaluator.resume(queries.open_firings())
        return evaluator

    def _refill(self, evaluator: Evaluator, now: float) -> None:
        self._minute = now // 60 * 60
        evaluator.refill(queries.minutes(self._minute - 360 * 60, self._minute))

    def collect(self) -> dict[Key, BreakerFacts | None]:
        """The breakers whose facts have changed since the last call. What has not changed costs a
        comparison. The event loop may merge a frame meanwhile: it replaces what it changes, and the
        lists here are copied in one step."""
        changed: dict[Key, BreakerFacts | None] = {}
        seen = self._seen
        count = 0
        for name, service in list(self._fleet.services.items()):
            for view in list(service.breakers.values()):
                count += 1
                key = (name, view["name"])
                before = seen.get(key)
                rows = view["instances"]
                same = before is not None and before[0] is rows and view["override"] is None
                # A half-open one becomes idle, or is called again, without a change of its rows.
                if same and view["state"] != "half_open":
                    continue
                facts = facts_of(view, service, self._policies.since.get(key))
                if before is None:
                    self._nodes_changed = True
                    changed[key] = facts
                elif facts is not before[1] and not facts.same_as(before[1]):
                    changed[key] = facts
                # With an override, what has changed may not be in the list.
                seen[key] = (rows if view["override"] is None else None, facts)
        if len(seen) != count:
            self._drop_gone(changed)
        return changed

    def _drop_gone(self, changed: dict[Key, BreakerFacts | None]) -> None:
        for key in list(self._seen):
            known = self._fleet.services.get(key[0])
            if known is None or key[1] not in known.breakers:
                del self._seen[key]
                changed[key] = None
                self._nodes_changed = True

    def graph(self) -> Graph:
        """Who depends on what among the breakers that have been collected."""
        if self._nodes_changed:
            self._nodes_changed = False
            self._graph = Graph(self._seen)
        return self._graph

    def impact(self, node: Key) -> Impact:
        """What a message says of a breaker: figures of this moment."""
        service = self._fleet.services.get(node[0])
        view = service.breakers.get(node[1]) if service is not None else None
        if service is None or view is None:
            return Impact()
        return impact_of(view, instances_of(view["instances"], service.instances).values())

    def _evaluate(self, evaluator: Evaluator, now: float, steady: float) -> None:
        reloads = now - self._reloaded >= _RELOAD_S or now < self._reloaded
        if reloads:
            self._reload(evaluator, now)
        for key, facts in self.collect().items():
            evaluator.observe(key, facts)
        changes: list[Change] = []
        if now - self._minute >= 60 + _MINUTE_DELAY_S:
            for end, counts in queries.minutes(self._minute, now // 60 * 60):
                changes += evaluator.minute(end, counts)
            self._minute = now // 60 * 60
        changes += evaluator.tick(now, steady)
        versions = self._versions.new(
            (name, list(each.instances.values()))
            for name, each in list(self._fleet.services.items())
        )
        with transaction.atomic():
            mark(versions, now)
            outcome = apply(changes, self.graph(), self.impact, now)
            for incident in outcome.opened:
                outbox.announce(incident, "opened", now)
            for incident in outcome.worsened:
                outbox.announce(incident, "worsened", now)
            for incident in outcome.closed:
                outbox.announce(incident, "resolved", now)
            if reloads:
                outbox.announce_to_new_routes(now)

    def _reload(self, evaluator: Evaluator, now: float) -> None:
        """Read what changes rarely: rules, unapplied policies, and the figures for metrics."""
        self._reloaded = now
        self._open_incidents = Incident.objects.filter(ended=None).count()
        self._waiting_messages = OutboxMessage.objects.filter(finished=None, due__lte=now).count()
        for key in self._policies.look(now):
            if (known := self._seen.get(key)) is not None:
                self._seen[key] = (None, known[1])
        rules = queries.active_rules()
        if {rule.id: rule for rule in rules} != evaluator.rules:
            evaluator.set_rules(rules)
