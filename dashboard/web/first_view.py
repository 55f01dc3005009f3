"""The snapshot that a page is rendered with, before its socket connects."""

from __future__ import annotations

from typing import Any

from dashboard.fleet.snapshot.reads import summary_snapshot


def without_sparklines() -> dict[str, Any]:
    """The summary of every service, without the last minute of each breaker."""
    shot = summary_snapshot()
    for service in shot["services"]:
        service["breakers"] = [
            {name: value for name, value in each.items() if name not in ("spark", "spark_err")}
            for each in service["breakers"]
        ]
    return shot
