"""How a service of the shop joins a dashboard, if there is one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from breakers import Snapshot, agent, registry

# Shared by every breaker of the shop: it trips on five failures in a row or on half of the calls
# of the last ten seconds, and tries again after five seconds.
POLICY: dict[str, Any] = {
    "failure_threshold": 5,
    "timeout_duration": 5.0,
    "success_threshold": 2,
    "failure_rate_threshold": 0.5,
    "window_type": "time",
    "window_size": 10,
    "minimum_calls": 20,
}


# The shop is there to rehearse: an operator may inject faults at each of its breakers.
DRILLED = ("users-db", "posts", "social", "profile-api")


@contextmanager
def watched(service: str) -> Iterator[None]:
    """Report to the dashboard of SWITCHGEAR_URL meanwhile; without that variable, to nobody."""
    running = agent.start(service=service, faults=DRILLED)
    try:
        yield
    finally:
        running.stop(timeout_s=0.5)


def breakers_now() -> list[dict[str, Any]]:
    """Every breaker of this process, for its debug face."""
    return [_serialised(breaker.snapshot()) for breaker in registry.all()]


def _serialised(shot: Snapshot) -> dict[str, Any]:
    return {
        "name": shot.name,
        "state": shot.state,
        "automatic_state": shot.automatic_state,
        "since_s": round(shot.since_s, 3),
        "cause": shot.cause,
        "counts": shot.counts,
        "entered": shot.entered,
    }
