"""Reads a recorded incident out of a dashboard's database, with times from its beginning on."""

from __future__ import annotations

from typing import Any

from breakers.circuit.policy import Policy
from dashboard.history import queries as history
from dashboard.history import recordings
from dashboard.policies import queries
from dashboard.policies.knobs import sent
from dashboard.policies.whatif.runs import slots_of
from dashboard.policies.whatif.slots import Slot

_COUNTS = ("success", "failure", "timeout", "ignored", "rejected")
_AROUND_S = 60.0


def read(service: str, breaker: str, begins: float, ends: float) -> dict[str, Any]:
    """The calls that were recorded between two Unix times, the rollups of history and the reported
    states. Calls that were under way when the recording began are included."""
    around = (begins - _AROUND_S, ends + _AROUND_S)
    calls: dict[str, list[tuple[float, str, float]]] = {}
    last = begins
    for call in recordings.calls(service, breaker, *around):
        at, seconds = round(call.at - begins, 6), round(call.seconds, 6)
        calls.setdefault(call.instance, []).append((at, call.outcome, seconds))
        last = max(last, call.at + call.seconds)
    strips = history.strips(service, breaker, begins, last)
    return {
        "policy": Policy().replace(sent(queries.effective(service, breaker))).as_dict(),
        "seconds": round(last - begins, 3),
        "calls": calls,
        "starts": {
            name: round(at - begins, 6)
            for name, at in recordings.starts(service, breaker, *around).items()
        },
        "slots": [_slot(each, begins) for each in slots_of(service, breaker, begins, last)],
        "states": {
            name: [
                (round(each["from"] - begins, 3), round(each["to"] - begins, 3), each["state"])
                for each in strips.get(name, [])
            ]
            for name in calls
        },
    }


def _slot(slot: Slot, begins: float) -> dict[str, Any]:
    counts = {name: getattr(slot, name) for name in _COUNTS}
    return {
        "at": slot.at - begins,
        "seconds": slot.seconds,
        "buckets": dict(slot.buckets),
        **counts,
    }
