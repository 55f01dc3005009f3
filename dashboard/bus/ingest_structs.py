"""Ingest variants of the message structs, declared field by field for fast decoding.

`Checked…` is what the agents' API decodes: latency sketches stay packed, and the patterns of a
breaker's own texts are checked separately, because matching each costs more than decoding the
report. `Stored…` is what fleet workers decode: the API has checked it, so only types are checked.
A test holds every variant equal to `breakers.protocol.messages`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from breakers.protocol import messages as wire
from breakers.protocol import names
from dashboard.bus.sketches import Packed, unpacked

_NOTHING: Final = msgspec.Raw(b"\x80")

# Above this a report takes the slow path, which knows how long its interval is.
FewCalls = Annotated[int, Meta(ge=0, le=wire.MAX_CALLS_PER_S)]
UnmatchedName = Annotated[str, Meta(min_length=1, max_length=names.MAX_LENGTH)]
UnmatchedText = Annotated[str, Meta(max_length=500)]
Transitions = Annotated[list[wire.Transition], Meta(max_length=wire.MAX_TRANSITIONS)]
Honours = Annotated[list[wire.OptionalIdentifier], Meta(max_length=64)]


class Sketch(msgspec.Struct, omit_defaults=True):
    """A `wire.Histogram` whose buckets are still packed."""

    packed: msgspec.Raw = msgspec.field(default=_NOTHING, name="buckets")
    sum_s: wire.Seconds = 0.0

    @property
    def buckets(self) -> dict[int, int]:
        """The counts by bucket, as `wire.Histogram` has them."""
        return unpacked(self.packed)


def buckets_of(histogram: wire.Histogram | Sketch) -> Packed | Mapping[int, int]:
    """The buckets as they are, packed or not."""
    return histogram.packed if isinstance(histogram, Sketch) else histogram.buckets


class CheckedCounts(wire.Counts, kw_only=True):
    success: FewCalls = 0
    failure: FewCalls = 0
    timeout: FewCalls = 0
    slow: FewCalls = 0
    ignored: FewCalls = 0
    rejected: FewCalls = 0
    bulkhead_full: FewCalls = 0
    retry: FewCalls = 0
    fallback: FewCalls = 0
    cache_hit: FewCalls = 0
    cache_miss: FewCalls = 0


class CheckedBreakerReport(wire.BreakerReport, kw_only=True):
    name: UnmatchedName
    state: wire.StateName
    since_s: wire.Seconds = 0.0
    cause: UnmatchedText = ""
    counts: CheckedCounts = msgspec.field(default_factory=CheckedCounts)
    histogram: Sketch = msgspec.field(default_factory=Sketch)  # type: ignore[assignment]
    in_flight: wire.Count = 0
    would_be_open: bool = False
    policy: dict[str, Any] | None = None
    honours: Honours | None = None
    transitions: Transitions = []


CheckedBreakers = Annotated[list[CheckedBreakerReport], Meta(max_length=wire.MAX_BREAKERS)]


class CheckedReport(wire.Report, kw_only=True, tag_field="type", tag="report"):
    service: wire.Name
    instance: wire.Instance
    boot: wire.Identifier
    seq: Annotated[int, Meta(ge=1, le=2**53)]
    interval_s: Annotated[float, Meta(gt=0, le=86_400)]
    breakers: CheckedBreakers = []  # type: ignore[assignment]
    age_s: wire.Seconds = 0.0
    revision: wire.Count = 0
    leaving: bool = False
    v: int = wire.VERSION


class StoredCounts(wire.Counts, kw_only=True):
    success: int = 0
    failure: int = 0
    timeout: int = 0
    slow: int = 0
    ignored: int = 0
    rejected: int = 0
    bulkhead_full: int = 0
    retry: int = 0
    fallback: int = 0
    cache_hit: int = 0
    cache_miss: int = 0


class StoredBreakerReport(wire.BreakerReport, kw_only=True):
    name: str
    state: wire.StateName
    since_s: float = 0.0
    cause: str = ""
    counts: StoredCounts = msgspec.field(default_factory=StoredCounts)
    histogram: Sketch = msgspec.field(default_factory=Sketch)  # type: ignore[assignment]
    in_flight: int = 0
    would_be_open: bool = False
    policy: dict[str, Any] | None = None
    honours: list[str] | None = None
    transitions: list[wire.Transition] = []


class StoredReport(wire.Report, kw_only=True, tag_field="type", tag="report"):
    service: str
    instance: wire.Instance
    boot: str
    seq: int
    interval_s: float
    breakers: list[StoredBreakerReport] = []  # type: ignore[assignment]
    age_s: float = 0.0
    revision: int = 0
    leaving: bool = False
    v: int = wire.VERSION
