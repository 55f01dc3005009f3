"""The task that writes frames to a browser: when it fails, the connection ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dashboard.api.browsers.consumers import FAILED, LiveConsumer
from dashboard.bus.memory import MemoryBus
from dashboard.fleet.snapshot import process
from dashboard.fleet.snapshot.store import FleetSnapshot


class Browser(LiveConsumer):
    """A consumer that is subscribed already; `error` is what sending to it raises."""

    def __init__(self, error: Exception | None, after: asyncio.Event) -> None:
        super().__init__()
        self._wanted, self._snapshot_due = None, True
        self._error, self._after = error, after
        self.closed: list[tuple[Any, ...]] = []

    async def _send_frame(self, message: Any) -> None:
        await self._after.wait()
        if self._error is not None:
            raise self._error

    async def close(self, *why: Any) -> None:  # type: ignore[override]
        self.closed.append(why)


@pytest.mark.parametrize(
    ("error", "closed"),
    [
        (None, []),
        (OSError("gone"), []),
        (ValueError("a bug"), [(FAILED, "frames could not be written")]),
    ],
)
@pytest.mark.parametrize("waits", [False, True])
async def test_a_failure_of_the_writer_ends_the_connection(
    error: Exception | None, closed: list[Any], waits: bool
) -> None:
    before = process.replace(FleetSnapshot(MemoryBus(), is_running=True))
    try:
        after = asyncio.Event()
        browser = Browser(error, after)
        if not waits:
            after.set()
        browser._start_writer()
        after.set()
        await asyncio.sleep(0.01)
        assert browser.closed == closed
        assert browser._writer is None
    finally:
        process.replace(before)
