"""Views of breakers, as frames bring them."""

from __future__ import annotations

from typing import Any


def view(
    state: str = "closed",
    service: str = "shop",
    name: str = "posts",
    ran: int = 100,
    failed: int = 0,
    refused: int = 0,
    **more: Any,
) -> Any:
    """A breaker on one instance; figures are of ten seconds."""
    return {
        "service": service,
        "name": name,
        "state": state,
        "states": {state: 1},
        "rate": (ran + refused) / 10,
        "ran": ran,
        "failed": failed,
        "refused": refused,
        "failed_pct": 100 * failed / ran if ran else None,
        "p99_ms": 20.0 if ran else None,
        "override": None,
        "outage": None,
        "last": None,
        **more,
    }
