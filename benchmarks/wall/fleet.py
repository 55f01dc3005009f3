"""A fleet that is not there, as the frames of its services: every breaker has calls, every instance
reports each second, breakers trip and recover, and operators' overrides stand."""

from __future__ import annotations

import random
from typing import Any

from dashboard.fleet.view_builders import tail_of

A_SERVICE = 100
TICK_S = 0.25


def tick_s(breakers: int) -> float:
    """How often a breaker changes: with each report in the largest fleet, else with each tick."""
    return 1.0 if breakers > 5000 else TICK_S


INSTANCES = 2
SECONDS = 60
# Breakers that change state in a second, of all.
TRIPS = 0.01
_ZONES = ("eu-1", "eu-2", "us-1")
_WORDS = (
    "posts",
    "users",
    "billing",
    "search",
    "social",
    "mail",
    "stock",
    "prices",
    "maps",
    "auth",
)


class SyntheticFleet:
    """`frames` tells what changed since the last time, as the fleet's worker does."""

    def __init__(self, breakers: int, seed: int = 7) -> None:
        self._random = random.Random(seed)
        self._seq = 0
        self._second = 0
        services = -(-breakers // A_SERVICE)
        self._views: dict[str, list[dict[str, Any]]] = {}
        for number in range(services):
            name = f"service-{number:03d}"
            count = min(A_SERVICE, breakers - number * A_SERVICE)
            self._views[name] = [self._breaker(name, at) for at in range(count)]

    def _breaker(self, service: str, number: int) -> dict[str, Any]:
        dice = self._random
        base = dice.choice((0.5, 5, 40, 300)) * dice.uniform(0.7, 1.3)
        state = dice.choices(("closed", "open", "half_open"), (95, 4, 1))[0]
        view = {
            "service": service,
            "name": f"{_WORDS[number % len(_WORDS)]}-{number:02d}",
            "state": state,
            "states": {state: INSTANCES},
            "instances": [self._at(service, at, state) for at in range(INSTANCES)],
            "rate": round(base, 1),
            "failed_pct": 0.0,
            "ran": int(base * 10),
            "failed": 0,
            "refused": 0,
            "outage": None,
            "p50_ms": round(dice.uniform(2, 40), 1),
            "p95_ms": 80.0,
            "p99_ms": round(dice.uniform(50, 400), 1),
            "counts": {"success": int(base * 10)},
            "spark": [int(base * dice.uniform(0.8, 1.2)) for _ in range(SECONDS)],
            "spark_err": [0] * SECONDS,
            "last": None,
            "override": None,
        }
        if number % 50 == 7:
            view["override"] = self._override(number)
        return view

    def _at(self, service: str, number: int, state: str) -> dict[str, Any]:
        return {
            "id": f"{service}-{number}",
            "state": state,
            "since_at": 0.0,
            "cause": "",
            "in_flight": 1,
            "would_be_open": False,
            "stale": False,
        }

    def _override(self, number: int) -> dict[str, Any]:
        return {
            "id": f"o{number}",
            "state": "metrics_only",
            "reason": "watching it before the limit is set",
            "by": "operator",
            "expires_at": 4e9,
            "created_at": 1e9,
            "applied": INSTANCES,
            "total": INSTANCES,
            "pending": [],
            "refused": [],
        }

    def frames(self, at: float, full: bool = False) -> list[dict[str, Any]]:
        """One frame a service at Unix time `at`: every breaker of it, since each of its instances
        has reported or is about to."""
        self._seq += 1
        slides = int(at) != self._second
        self._second = int(at)
        return [
            {
                "type": "frame",
                "service": service,
                "seq": self._seq,
                "at": at,
                "full": full,
                "interval_s": 1.0,
                "breakers": [self._go_on(view, at, slides, full) for view in views],
                "instances": [self._instance(service, n, at) for n in range(INSTANCES)],
                "removed": {"breakers": [], "instances": []},
                "over_capacity": {"instances": 0, "breakers": 0},
            }
            for service, views in self._views.items()
        ]

    def _go_on(self, view: dict[str, Any], at: float, slides: bool, full: bool) -> dict[str, Any]:
        dice = self._random.random
        view["rate"] = round(view["rate"] * (0.95 + 0.1 * dice()), 1)
        view["p99_ms"] = round(view["p99_ms"] * (0.95 + 0.1 * dice()), 1)
        tripped = False
        if slides:
            calls = int(view["rate"] * (0.8 + 0.4 * dice()))
            failed = calls if view["state"] == "open" else 0
            view["spark"] = [*view["spark"][1:], calls]
            view["spark_err"] = [*view["spark_err"][1:], failed]
            is_open = view["state"] == "open"
            window = int(view["rate"] * 10)
            view["ran"], view["refused"] = (0, window) if is_open else (window, 0)
            view["failed_pct"] = None if is_open else round(dice(), 2)
            view["failed"] = int(view["ran"] * (view["failed_pct"] or 0) / 100)
            if tripped := dice() < TRIPS:
                self._trip(view, at)
        if full:
            return view
        told = {**view, **tail_of({key: view[key] for key in ("spark", "spark_err")})}
        del told["spark"], told["spark_err"]
        # What an instance says travels when it has changed.
        return told if tripped else {**told, "instances": []}

    def _trip(self, view: dict[str, Any], at: float) -> None:
        before = view["state"]
        after = {"closed": "open", "open": "half_open"}.get(before, "closed")
        view["state"] = after
        view["states"] = {after: INSTANCES}
        for each in view["instances"]:
            each["state"] = after
        view["last"] = {
            "at": at,
            "before": before,
            "after": after,
            "cause": "5 failures one after another",
            "instance": view["instances"][0]["id"],
        }

    def _instance(self, service: str, number: int, at: float) -> dict[str, Any]:
        return {
            "id": f"{service}-{number}",
            "host": f"host-{number}",
            "pid": 100 + number,
            "version": "2.4.1",
            "zone": _ZONES[number % len(_ZONES)],
            "seen_at": round(at, 2),
            "stale": False,
            "revision": 3,
        }
