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
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.db import close_old_connections, transaction

from dashboard.alerts import outbox, queries
from dashboard.alerts.cause import Graph
from dashboard.alerts.evaluation import Change, Evaluator, Key
from dashboard.alerts.first_cause import Impact
from dashboard.alerts.incidents import apply
from dashboard.alerts.leases import release, take
from dashboard.alerts.models import Incident, Marker, OutboxMessage
from dashboard.alerts.observations import CALM, BreakerFacts, InstanceFacts, Row
from dashboard.alerts.splits import open_only_on
from dashboard.fleet.frame_types import BreakerAtInstance, BreakerView, InstanceView
from dashboard.fleet.snapshot.service_snapshot import ServiceSnapshot
from dashboard.fleet.snapshot.store import FleetSnapshot
from dashboard.observability.metrics import add_gauge

logger = logging.getLogger("switchgear.alerts")

TICK_S: Final = 1.0
_RELOAD_S: Final = 5.0
# Counts of a minute are complete after the next checkpoints.
_MINUTE_DELAY_S: Final = 20.0
# A frame that is older says nothing of now: the fleet worker is silent.
_OLD_S: Final = 15.0


class Runner:
    """Collects what has changed in the snapshot, and evaluates it while it holds the lease."""

    def __init__(
        self,
        fleet: FleetSnapshot,
        wall: Callable[[], float] = time.time,
        own_thread: bool = True,
    ) -> None:
        self._fleet = fleet
        self._wall = wall
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
        self._versions: dict[str, frozenset[str]] = {}
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
        if self.evaluator is None:
            self._resume(now)
        self._evaluate(self.collect(), self._new_versions(), now)
        self._evaluated = time.monotonic()

    async def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await sync_to_async(work, thread_sensitive=self._shares_thread)(*arguments)

    def forget(self) -> None:
        """Drop everything: another process evaluates, or a round failed half-way."""
        self.evaluator = None
        self._evaluated = 0.0
        self._open_incidents = self._waiting_messages = 0
        self._seen.clear()
        self._nodes_changed = True

    def _resume(self, now: float) -> None:
        self.evaluator = Evaluator(queries.active_rules())
        self._reloaded = now
        self._minute = now // 60 * 60
        for end, counts in queries.minutes(self._minute - 360 * 60, self._minute):
            self.evaluator.minute(end, counts)
        # The stored firings replace what these minutes found: the process before has reported it.
        self.evaluator.resume(queries.open_firings())

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
                if before is not None and before[0] is rows and view["override"] is None:
                    continue
                facts = facts_of(view, service)
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
        instances = instances_of(view["instances"], service.instances)
        live = [each for each in instances.values() if not each.stale]
        lost = view["failed"] + view["refused"] - view["counts"].get("fallback", 0)
        return Impact(
            open=sum(each.state in {"open", "half_open"} for each in live),
            instances=len(live),
            lost_per_s=max(0, lost) / 10,
            has_fallback=view["counts"].get("fallback", 0) > 0,
            only_on=open_only_on(live),
        )

    def _new_versions(self) -> dict[str, tuple[frozenset[str], frozenset[str]]]:
        """Services whose instances report a version that was not there before."""
        found = {}
        for name, service in list(self._fleet.services.items()):
            versions = frozenset(
                each["version"]
                for each in list(service.instances.values())
                if each["version"] and not each["stale"]
            )
            before = self._versions.get(name)
            if before is not None and versions - before:
                found[name] = (before, versions - before)
            self._versions[name] = (before or frozenset()) | versions
            if len(self._versions[name]) > 100:
                self._versions[name] = versions
        return found

    def _evaluate(
        self,
        changed: Mapping[Key, BreakerFacts | None],
        versions: Mapping[str, tuple[frozenset[str], frozenset[str]]],
        now: float,
    ) -> None:
        evaluator = self.evaluator
        assert evaluator is not None
        reloads = now - self._reloaded >= _RELOAD_S or now < self._reloaded
        if reloads:
            self._reloaded = now
            self._open_incidents = Incident.objects.filter(ended=None).count()
            self._waiting_messages = OutboxMessage.objects.filter(
                finished=None, due__lte=now
            ).count()
            rules = queries.active_rules()
            if {rule.id: rule for rule in rules} != evaluator.rules:
                evaluator.set_rules(rules)
        for key, facts in changed.items():
            evaluator.observe(key, facts)
        changes: list[Change] = []
        if now - self._minute >= 60 + _MINUTE_DELAY_S or now < self._minute:
            for end, counts in queries.minutes(self._minute, now // 60 * 60):
                changes += evaluator.minute(end, counts)
            self._minute = now // 60 * 60
        changes += evaluator.tick(now)
        with transaction.atomic():
            _mark_versions(versions, now)
            outcome = apply(changes, self.graph(), self.impact, now)
            for incident in outcome.opened:
                outbox.announce(incident, "opened", now)
            for incident in outcome.worsened:
                outbox.announce(incident, "worsened", now)
            for incident in outcome.closed:
                outbox.announce(incident, "resolved", now)
            if reloads:
                outbox.announce_to_new_routes(now)


def facts_of(view: BreakerView, service: ServiceSnapshot) -> BreakerFacts:
    """A breaker's view as rules see it."""
    override = view["override"]
    rows = view["instances"]
    if override is None and all(e["state"] == "closed" and not e["stale"] for e in rows):
        return CALM
    infos = service.instances
    shown: Sequence[Row] = rows
    if any(each["stale"] for each in rows):
        # A silent instance is silent since its last report.
        shown = [
            {"id": each["id"], "state": each["state"], "stale": each["stale"],
             "since_at": _seen_at(infos, each) if each["stale"] else each["since_at"]}
            for each in rows
        ]  # fmt: skip
    return BreakerFacts(
        partial(instances_of, rows, infos),
        override_ends=override["expires_at"] if override else None,
        unapplied_since=override["created_at"]
        if override and (override["pending"] or override["refused"])
        else None,
        would_be_open=override is not None and any(each["would_be_open"] for each in rows),
        rows=shown,
    )


def instances_of(
    rows: Iterable[BreakerAtInstance], infos: Mapping[str, InstanceView]
) -> dict[str, InstanceFacts]:
    """What is known of a breaker at each instance."""
    found = {}
    for each in rows:
        info = infos.get(each["id"])
        since = _seen_at(infos, each) if each["stale"] else each["since_at"]
        version, zone = (info["version"], info["zone"]) if info else ("", "")
        found[each["id"]] = InstanceFacts(each["state"], since, version, zone, each["stale"])
    return found


def _seen_at(infos: Mapping[str, InstanceView], each: BreakerAtInstance) -> float:
    info = infos.get(each["id"])
    return info["seen_at"] if info else each["since_at"]


def _mark_versions(
    versions: Mapping[str, tuple[frozenset[str], frozenset[str]]], now: float
) -> None:
    for service, (before, new) in versions.items():
        for version in sorted(new):
            was = f", after {', '.join(sorted(before))}" if before else ""
            Marker.objects.get_or_create(
                key=f"version:{service}:{version}:{int(now // 3600)}"[:200],
                defaults={
                    "at": now, "kind": "version", "service": service, "version": version,
                    "text": f"{service} reports version {version}{was}"[:300],
                },
            )  # fmt: skip
