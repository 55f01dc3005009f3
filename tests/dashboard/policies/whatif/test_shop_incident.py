"""An incident that the shop's processes lived through, replayed: its per-call truth was kept."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.recorded import ShopIncident, load


@pytest.fixture(scope="module")
def shop() -> ShopIncident:
    return load()


def test_the_recording_has_an_incident_at_four_processes(shop: ShopIncident) -> None:
    outcomes = Counter(call.outcome for call in shop.calls)
    assert len(shop.starts) == len(shop.states) == 4
    assert outcomes["success"] > 500
    assert outcomes["timeout"] + outcomes["failure"] > 20
    assert outcomes["rejected"] == shop.refused > 200
    for pieces in shop.states.values():
        states = [state for _, _, state in pieces]
        assert states.count("open") >= 3  # it reopens: the incident outlasts the open time
        assert states[-1] == "closed"


def test_each_recorded_call_is_replayed_as_it_went(shop: ShopIncident) -> None:
    found = shop.replay_recording()
    assert found.calls == len(shop.calls)
    assert (found.assumed, found.refused_now) == (0, 0)
    assert found.rejected == shop.refused
    assert shop.error(found) == 0.0


def test_the_error_of_a_replay_of_its_history_is_known(shop: ShopIncident) -> None:
    assert shop.error(shop.replay_history()) <= 5.0
