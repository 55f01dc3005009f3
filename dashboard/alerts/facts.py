"""A breaker's view, as the dashboard follows it, as facts that rules see."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from dashboard.alerts.impact import instances_of, seen_at
from dashboard.alerts.observations import CALM, BreakerFacts, Row
from dashboard.fleet.frame_types import BreakerView
from dashboard.fleet.snapshot.service_snapshot import ServiceSnapshot


def facts_of(
    view: BreakerView, service: ServiceSnapshot, policy_unapplied_since: float | None = None
) -> BreakerFacts:
    """The facts of a breaker. Its policy is not in the view."""
    override = view["override"]
    rows = view["instances"]
    is_calm = override is None and policy_unapplied_since is None
    if is_calm and all(e["state"] == "closed" and not e["stale"] for e in rows):
        return CALM
    infos = service.instances
    shown: Sequence[Row] = rows
    if any(each["stale"] for each in rows):
        # A silent instance is silent since its last report.
        shown = [
            {"id": each["id"], "state": each["state"], "stale": each["stale"],
             "since_at": seen_at(infos, each) if each["stale"] else each["since_at"]}
            for each in rows
        ]  # fmt: skip
    return BreakerFacts(
        partial(instances_of, rows, infos),
        override_ends=override["expires_at"] if override else None,
        unapplied_since=override["created_at"]
        if override and (override["pending"] or override["refused"])
        else None,
        policy_unapplied_since=policy_unapplied_since,
        would_be_open=override is not None and any(each["would_be_open"] for each in rows),
        rows=shown,
        is_idle=view.get("idle_half_open", False),
    )
