"""Frames as the wall needs them: without what each instance says. For thousands of breakers on
hundreds of instances that is what keeps a browser, and its network, at ease."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dashboard.fleet.frame_types import BreakerView, Frame, InstanceView


def summary_breaker(view: BreakerView) -> dict[str, Any]:
    """A breaker on the wall."""
    summary: dict[str, Any] = view.copy()  # type: ignore[assignment]
    del summary["service"], summary["instances"], summary["counts"], summary["p95_ms"]
    return summary


def summary_instance(view: InstanceView) -> dict[str, Any]:
    """An instance on the wall."""
    return {
        "id": view["id"],
        "zone": view["zone"],
        "version": view["version"],
        "stale": view["stale"],
    }


def summary_frame(frame: Frame, instances: Mapping[str, InstanceView]) -> dict[str, Any]:
    """A frame for the wall. `instances` are those known before it."""
    full = frame["full"]
    changed = [
        summary
        for each in frame["instances"]
        if (summary := summary_instance(each))
        and (full or _is_news(summary, instances.get(each["id"])))
    ]
    return {
        **frame,
        "breakers": [summary_breaker(each) for each in frame["breakers"]],
        "instances": changed,
    }


def summary_service(
    breakers: Iterable[BreakerView], instances: Iterable[InstanceView]
) -> dict[str, Any]:
    """A service in a snapshot for the wall."""
    return {
        "instances": [summary_instance(each) for each in instances],
        "breakers": [summary_breaker(each) for each in breakers],
    }


def _is_news(summary: dict[str, Any], before: InstanceView | None) -> bool:
    return before is None or summary_instance(before) != summary
