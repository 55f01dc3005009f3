"""Evidence beside the fields of a policy: latencies, attempts, trips and fallbacks of a range."""

from __future__ import annotations

import math
import re
import time
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_GET

from breakers.circuit.histogram import bucket_bounds
from dashboard.access.authority import Anyone, visible_services
from dashboard.fleet.snapshot.reads import snapshot
from dashboard.history import queries as history
from dashboard.policies import queries
from dashboard.policies.whatif.runs import MAX_RANGE_S
from dashboard.policies.worst_case import worst_case
from dashboard.web.policy_scopes import check_scope

DAY_S: Final = 86_400.0
_LEAST_S: Final = 10.0
_NUMBER: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")
# Transitions and callers that are looked at.
_MOST_TRIPS: Final = 1000
_MOST_CALLERS: Final = 20


@require_GET
def latency(request: HttpRequest, service: str, breaker: str) -> JsonResponse:
    """The evidence of a range, as JSON."""
    check_scope(request, service, breaker)
    try:
        seconds = read_seconds(request.GET.get("seconds", f"{DAY_S:.0f}"))
    except ValidationError as error:
        return JsonResponse({"errors": error.message_dict}, status=400)
    return JsonResponse(evidence(request.user, service, breaker, seconds))


def read_seconds(typed: str) -> float:
    """The length of a range.

    Raises:
        ValidationError: it is no number in the digits 0 to 9, or out of range.
    """
    seconds = float(typed) if _NUMBER.fullmatch(typed) else math.nan
    if not _LEAST_S <= seconds <= MAX_RANGE_S:
        wanted = f"It must be a number of seconds from {_LEAST_S:.0f} to {MAX_RANGE_S:.0f}."
        raise ValidationError({"seconds": f"{typed[:40]}: {wanted}"})
    return seconds


def evidence(person: Anyone, service: str, breaker: str, seconds: float) -> dict[str, Any]:
    """The latencies of the last `seconds` as bars, and `words` about attempts, trips and
    fallbacks."""
    now = time.time()
    begins = now - seconds + 20
    _, rows = history.rollups(service, breaker, begins, now)
    buckets: dict[int, int] = {}
    for row in rows:
        for index, n in row["buckets"].items():
            buckets[index] = buckets.get(index, 0) + n
    calls = sum(row["success"] + row["failure"] + row["timeout"] for row in rows)
    retries = sum(row["retry"] for row in rows)
    words = [
        _attempts(calls, retries, service, breaker),
        _trips(service, breaker, begins, now),
        _fallbacks(person, breaker, begins, now),
    ]
    return {
        "edges_ms": [bucket_bounds(index)[0] * 1000 for index in sorted(buckets)],
        "upper_ms": [bucket_bounds(index)[1] * 1000 for index in sorted(buckets)],
        "counts": [buckets[index] for index in sorted(buckets)],
        "success": sum(row["success"] for row in rows),
        "timeout": sum(row["timeout"] for row in rows),
        "words": " ".join(words),
    }


def _attempts(calls: int, retries: int, service: str, breaker: str) -> str:
    worst = worst_case(queries.effective(service, breaker)).attempts
    if not calls:
        return f"No calls; at worst {worst} attempts a call."
    return f"{calls / max(1, calls - retries):.2f} attempts a call, at worst {worst}."


def _trips(service: str, breaker: str, begins: float, ends: float) -> str:
    found = history.timeline(
        service=service, breaker=breaker, states=["open"], from_=begins, to=ends, limit=_MOST_TRIPS
    )
    trips = [each for each in found["transitions"] if each["before"] == "closed"]
    if not trips:
        return "It did not open."
    instances = len({each["instance"] for each in trips})
    many = "more than " if found["next"] else ""
    return f"It opened {many}{_times(len(trips))} at {instances} instance{'s'[: instances > 1]}."


def _times(n: int) -> str:
    return {1: "once", 2: "twice"}.get(n, f"{n:,} times")


def _fallbacks(person: Anyone, breaker: str, begins: float, ends: float) -> str:
    """How many callers of the dependency have been seen to answer with a fallback: the services
    that this person sees and that have a breaker of this name."""
    visible = visible_services(person)
    callers = [
        shot["name"]
        for shot in snapshot()["services"]
        if shot["name"] in visible and any(view["name"] == breaker for view in shot["breakers"])
    ][:_MOST_CALLERS]
    with_one = sum(
        any(row["fallback"] for row in history.rollups(caller, breaker, begins, ends)[1])
        for caller in callers
    )
    if not callers:
        return "No caller is connected."
    of = f"{with_one} of {len(callers)} callers have" if len(callers) > 1 else "Its caller has"
    if len(callers) == 1 and not with_one:
        return "Its caller has not been seen to answer with a fallback."
    return f"{of} been seen to answer with a fallback."
