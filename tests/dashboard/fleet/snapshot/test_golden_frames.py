"""Frames are merged as the golden files specify; the JavaScript store passes them too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dashboard.bus.memory import MemoryBus
from dashboard.fleet.snapshot.store import FleetSnapshot

FILES = sorted((Path(__file__).parents[3] / "golden" / "frames").glob("*.json"))


def full_frame(service: dict[str, Any]) -> Any:
    """The frame that brings a service as a golden file describes it."""
    rest = {key: value for key, value in service.items() if key != "name"}
    removed: dict[str, list[str]] = {"breakers": [], "instances": []}
    return {"type": "frame", "service": service["name"], "full": True, "removed": removed, **rest}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_frame_is_merged_as_specified(path: Path) -> None:
    case = json.loads(path.read_text())
    snapshot = FleetSnapshot(MemoryBus(), is_running=True)
    for service in case["before"]:
        snapshot.merge(full_frame(service))
    snapshot.merge(case["frame"])
    found = {each["name"]: each for each in snapshot.snapshot()["services"]}
    wanted = {each["name"]: each for each in case["after"]}
    assert found.keys() == wanted.keys()
    for name, service in wanted.items():
        for key in ("seq", "interval_s", "over_capacity", "breakers"):
            assert found[name][key] == service[key], (name, key)
        assert sorted(found[name]["instances"], key=lambda each: each["id"]) == service["instances"]


def test_there_are_golden_frames() -> None:
    assert len(FILES) >= 11
