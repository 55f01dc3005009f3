"""Reads of history: series behind charts, sums behind tables, and what changed state when."""

from dashboard.history.queries.moments import BreakerMoment, moment, oldest
from dashboard.history.queries.outages import (
    open_outages,
    outage,
    outages,
    resumable_outages,
)
from dashboard.history.queries.plans import POINTS, Plan, plan
from dashboard.history.queries.reading import between, latest_of
from dashboard.history.queries.rollups import rollups
from dashboard.history.queries.series import series, sums
from dashboard.history.queries.timeline import (
    BadCursor,
    last_transitions,
    states,
    strips,
    timeline,
    transitions,
)

__all__ = [
    "POINTS",
    "BadCursor",
    "BreakerMoment",
    "Plan",
    "between",
    "last_transitions",
    "latest_of",
    "moment",
    "oldest",
    "open_outages",
    "outage",
    "outages",
    "plan",
    "resumable_outages",
    "rollups",
    "series",
    "states",
    "strips",
    "sums",
    "timeline",
    "transitions",
]
