"""What is wrong with a route, by field: for the admin, and for alerts as code."""

from __future__ import annotations

from functools import cache
from typing import Final
from zoneinfo import available_timezones

from dashboard.alerts.models import Route

LONGEST_ESCALATION_S: Final = 86_400


def wrong_fields(route: Route) -> dict[str, str]:
    """What is wrong with a route, by field."""
    wrong = {}
    if route.zone not in _zones():
        wrong["zone"] = f"{route.zone!r} is not a time zone; use a name such as Europe/Berlin."
    if not 0 <= route.escalate_after_s <= LONGEST_ESCALATION_S:
        wrong["escalate_after_s"] = (
            f"{route.escalate_after_s:g} s; use 0 to {LONGEST_ESCALATION_S} s."
        )
    begin, end = route.quiet_from, route.quiet_to
    if (begin is None) != (end is None):
        wrong["quiet_to" if end is None else "quiet_from"] = "Give both hours, or neither."
    for name, hour in (("quiet_from", begin), ("quiet_to", end)):
        if hour is not None and hour > 23:
            wrong[name] = f"{hour} is not an hour; use 0 to 23."
    return wrong


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
