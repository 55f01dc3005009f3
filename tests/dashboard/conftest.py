"""Fixtures: a running dashboard."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dashboard.bus.memory import MemoryBus
from dashboard.fleet.snapshot import process
from dashboard.fleet.snapshot.store import FleetSnapshot
from tests.dashboard.child_process import Dashboard, embedded_dashboard


@pytest.fixture(autouse=True)
def empty_fleet() -> Iterator[None]:
    """Pages read a snapshot that runs; tests that show something replace it."""
    before = process.replace(FleetSnapshot(MemoryBus(), is_running=True))
    yield
    process.replace(before)


@pytest.fixture(scope="session")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    # A report is answered when it is stored: let that be soon.
    with embedded_dashboard(
        tmp_path_factory.mktemp("dashboard"), SWITCHGEAR_CHECKPOINT="0.1"
    ) as running:
        yield running


@pytest.fixture(scope="session")
def token(dashboard: Dashboard) -> str:
    """Of the service named shop."""
    return dashboard.token("shop")
