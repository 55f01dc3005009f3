"""Reports for the tests of the fleet's state."""

from __future__ import annotations

from typing import Any

from breakers.protocol import messages as wire
from dashboard.fleet.checkpoint_batch import Batch
from dashboard.fleet.frame_types import BreakerView, OverrideInfo
from dashboard.fleet.state import FleetState

NOW = 1_000_000.0


def report(
    instance: str = "one",
    seq: int = 1,
    state: str = "closed",
    counts: wire.Counts | None = None,
    **more: Any,
) -> wire.Report:
    breaker = wire.BreakerReport(
        name=more.pop("breaker", "posts"),
        state=state,
        counts=counts or wire.Counts(),
        histogram=more.pop("histogram", wire.Histogram()),
        transitions=more.pop("transitions", []),
    )
    fields = {"boot": "b", "interval_s": 1.0, **more}
    return wire.Report(
        service="shop", instance=wire.Instance(id=instance), seq=seq, breakers=[breaker], **fields
    )


class Fleet:
    """A state, fed by hand."""

    def __init__(self) -> None:
        self.state = FleetState()
        self.batch = Batch()

    def fold(self, message: wire.FromAgent, at: float = NOW) -> None:
        self.state.fold(message, at, self.batch)

    def posts(self, at: float = NOW) -> BreakerView:
        (frame,) = self.state.full_frames(at)
        (view,) = (each for each in frame["breakers"] if each["name"] == "posts")
        return view


def _fields(info: OverrideInfo) -> dict[str, Any]:
    return {name: getattr(info, name) for name in info.__dataclass_fields__}
