"""The protocol between agents and the dashboard, version 1.

Three messages carry the system: a `Report` goes up, a `Desired` comes down, an `Ack` answers it.
`Received` and `Refused` are the dashboard's answers to a report. All are tagged by `type`, so a
socket carries any of them, as MessagePack or as JSON.

Durations travel, never clock readings. A report's `age_s` counts back from the moment it is sent
to the end of its interval; what it tells (`since_s`, `ago_s`) counts back from that end.
Unknown fields are ignored; unknown versions are refused with the versions known.

This module needs msgspec (the `agent` extra); the core of `breakers` never imports it.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from breakers.protocol.faults import MAX_FAULT_S as MAX_FAULT_S
from breakers.protocol.faults import MAX_FAULTS as MAX_FAULTS
from breakers.protocol.faults import MAX_LATENCY_S as MAX_LATENCY_S
from breakers.protocol.faults import FaultOrder as FaultOrder
from breakers.protocol.field_types import MAX_CALLS_PER_S as MAX_CALLS_PER_S
from breakers.protocol.field_types import BucketIndex as BucketIndex
from breakers.protocol.field_types import Count as Count
from breakers.protocol.field_types import Identifier as Identifier
from breakers.protocol.field_types import Name as Name
from breakers.protocol.field_types import OptionalIdentifier as OptionalIdentifier
from breakers.protocol.field_types import Seconds as Seconds
from breakers.protocol.field_types import Share as Share
from breakers.protocol.field_types import StateName as StateName
from breakers.protocol.field_types import Text as Text
from breakers.protocol.recordings import MAX_RECORDED as MAX_RECORDED
from breakers.protocol.recordings import Recording as Recording
from breakers.protocol.recordings import RecordingOrder as RecordingOrder

VERSION: Final = 1
VERSIONS: Final = (1,)

SUBPROTOCOL_MSGPACK: Final = "switchgear.v1.msgpack"
SUBPROTOCOL_JSON: Final = "switchgear.v1.json"
CONTENT_MSGPACK: Final = "application/msgpack"
CONTENT_JSON: Final = "application/json"

MAX_MESSAGE_BYTES: Final = 1024 * 1024
MAX_BREAKERS: Final = 1000
MAX_TRANSITIONS: Final = 64
MAX_OVER_CAPACITY: Final = 32
MAX_RECORDINGS: Final = 32
EVERY_BREAKER: Final = "*"
# Causes of breakers that took over the state of the fleet begin so.
WARM_START: Final = "warm start"


class Instance(Struct, frozen=True, omit_defaults=True):
    """The reporting process. `id` is unique within a service and stable across reconnects.

    `idle` is set by a process that has forked children and made no call itself, such as the master
    of gunicorn or Celery: it is listed, but not counted in shares.
    """

    id: Name
    host: Text = ""
    pid: Count = 0
    version: Text = ""
    zone: Text = ""
    tags: Annotated[list[Name], Meta(max_length=32)] = []
    idle: bool = False


class Counts(Struct, omit_defaults=True):
    """What happened at one breaker since the last acknowledged report.

    `success`, `failure`, `timeout` and `ignored` are disjoint and together are the calls that ran.
    `slow` overlays them: a slow success counts in both. `rejected` and `bulkhead_full` never ran.
    `retry`, `fallback`, `cache_hit` and `cache_miss` are events of the caller around the breaker.
    """

    success: Count = 0
    failure: Count = 0
    timeout: Count = 0
    slow: Count = 0
    ignored: Count = 0
    rejected: Count = 0
    bulkhead_full: Count = 0
    retry: Count = 0
    fallback: Count = 0
    cache_hit: Count = 0
    cache_miss: Count = 0


class Window(Struct, frozen=True, omit_defaults=True):
    """The figures of the breaker's window at a transition. Rates are shares from 0 to 1."""

    calls: Count = 0
    failures: Count = 0
    slow: Count = 0
    consecutive_failures: Count = 0
    failure_rate: Share = 0.0
    slow_rate: Share = 0.0


class Transition(Struct, frozen=True, rename={"from_": "from"}):
    """A change of state. `id` numbers the transitions of one breaker in one boot."""

    id: Count
    ago_s: Seconds
    from_: StateName
    to: StateName
    cause: Text
    window: Window = Window()


class Histogram(Struct, omit_defaults=True):
    """Latencies as a sparse sketch of `breakers.circuit.histogram`: bucket index to count."""

    buckets: Annotated[dict[BucketIndex, Count], Meta(max_length=1024)] = {}
    sum_s: Seconds = 0.0


class BreakerReport(Struct, omit_defaults=True):
    """One breaker in a report. `state` is the state in force, an operator's override included.

    `policy` is what the code declares: sent first on each connection, and when it changes.
    `honours` are the fields of a policy that this breaker's calls obey, sent with `policy`; None
    means all.
    """

    name: Name
    state: StateName
    since_s: Seconds = 0.0
    cause: Text = ""
    counts: Counts = msgspec.field(default_factory=Counts)
    histogram: Histogram = msgspec.field(default_factory=Histogram)
    in_flight: Count = 0
    would_be_open: bool = False
    policy: dict[str, Any] | None = None
    honours: Annotated[list[OptionalIdentifier], Meta(max_length=64)] | None = None
    transitions: Annotated[list[Transition], Meta(max_length=MAX_TRANSITIONS)] = []


class Report(Struct, tag_field="type", tag="report"):
    """What one instance saw during `interval_s` seconds that ended `age_s` seconds ago.

    A report that is sent again is the same but for `age_s` and `revision`, which are of the moment
    of sending. A report without breakers says that nothing changed. No breaker is named twice.
    `boot` names the incarnation of the process and `seq` counts its reports from 1, so that the
    dashboard counts each report once. `revision` is the desired state this instance has applied.
    `leaving` marks the last report of a process that ends.
    """

    service: Name
    instance: Instance
    boot: Identifier
    seq: Annotated[int, Meta(ge=1, le=2**53)]
    interval_s: Annotated[float, Meta(gt=0, le=86_400)]
    breakers: Annotated[list[BreakerReport], Meta(max_length=MAX_BREAKERS)] = []
    age_s: Seconds = 0.0
    revision: Count = 0
    leaving: bool = False
    v: int = VERSION


class PackedReport(Report, tag_field="type", tag="report"):
    """A report whose breakers are MessagePack already; it is encoded as `Report` is.

    The agent keeps its slices so, and sends them without decoding them.
    """

    breakers: msgspec.Raw = msgspec.Raw(b"\x90")  # type: ignore[assignment]

    def unpacked(self) -> Report:
        """The same as a `Report`."""
        fields = {name: getattr(self, name) for name in Report.__struct_fields__}
        return Report(**{**fields, "breakers": _breaker_reports.decode(self.breakers)})


_breaker_reports: Final = msgspec.msgpack.Decoder(list[BreakerReport])


class Override(Struct, frozen=True, omit_defaults=True):
    """An operator's override of one breaker. `instances` None means every instance of the service.

    `expires_in_s` counts from the moment of sending. Agents let an override expire after seven
    days at the latest; None means those seven days.
    """

    id: Identifier
    breaker: Name
    state: Identifier
    instances: list[str] | None = None
    expires_in_s: Seconds | None = None
    share: Share | None = None


class Selector(Struct, frozen=True, omit_defaults=True):
    """Which instances are meant: those that every list names. An empty list names all."""

    instances: list[str] = []
    zones: list[str] = []
    versions: list[str] = []
    tags: list[str] = []

    def includes(self, instance: Instance) -> bool:
        """Whether an instance is meant. It needs one of the tags."""
        return (
            (not self.instances or instance.id in self.instances)
            and (not self.zones or instance.zone in self.zones)
            and (not self.versions or instance.version in self.versions)
            and (not self.tags or not set(self.tags).isdisjoint(instance.tags))
        )


class PolicyItem(Struct, frozen=True, omit_defaults=True):
    """Fields of `breakers.Policy` that replace what the code of a breaker declares; None switches
    a field off. The breaker `*` is every breaker of the service; items that name one come after.
    """

    breaker: Name
    fields: dict[str, Any]
    instances: list[str] | None = None
    selector: Selector | None = None


class WarmStart(Struct, frozen=True, omit_defaults=True):
    """What the other instances know of a breaker: it is open, and will be for `open_s` seconds."""

    breaker: Name
    open_s: Seconds
    reason: Text = ""


class Desired(Struct, tag_field="type", tag="desired"):
    """The whole desired state of a service. Whatever is absent is not overridden.

    `over_capacity` are breakers of the receiving instance beyond the capacity of its service: what
    happens at them is neither shown nor counted, and sending it again changes nothing. When the
    list is full, there may be more.

    `recordings` names the breakers whose calls the agent records; None is of a dashboard that takes
    no recordings.

    `faults` are injected to rehearse, each by an agent whose code allows it.

    `warm_starts` comes with the first desired state of a new process: it opens these breakers, if
    they are closed, as its own trips would. They are no part of what is desired afterwards.
    """

    revision: Count
    overrides: list[Override] = []
    policies: list[PolicyItem] = []
    interval_s: Annotated[float, Meta(gt=0, le=86_400)] = 1.0
    server_time: Annotated[float, Meta(ge=0, le=1e11)] = 0.0
    over_capacity: Annotated[list[Name], Meta(max_length=MAX_OVER_CAPACITY)] = []
    warm_starts: Annotated[list[WarmStart], Meta(max_length=MAX_BREAKERS)] = []
    recordings: Annotated[list[RecordingOrder], Meta(max_length=MAX_RECORDINGS)] | None = None
    faults: Annotated[list[FaultOrder], Meta(max_length=MAX_FAULTS)] = []


class AckItem(Struct, frozen=True, omit_defaults=True):
    """The result of one item: `kind` is override, policy or fault, `status` applied or refused."""

    kind: Identifier
    breaker: Name
    status: Identifier
    id: OptionalIdentifier = ""
    reason: Text = ""


class Ack(Struct, tag_field="type", tag="ack"):
    """This instance has taken over the desired state numbered `revision`."""

    service: Name
    instance: Name
    revision: Count
    items: Annotated[list[AckItem], Meta(max_length=4 * MAX_BREAKERS)] = []
    v: int = VERSION


class Received(Struct, tag_field="type", tag="received"):
    """Every report of this boot up to `seq` is safe; the agent may forget it."""

    boot: Identifier
    seq: Count


class Refused(Struct, tag_field="type", tag="refused", omit_defaults=True):
    """Why a message was not accepted. `field` is a path such as `$.breakers[2].counts.success`."""

    code: Identifier
    message: str
    field: str = ""
    seq: int = 0
    versions: tuple[int, ...] = ()


FromAgent = Report | Ack | Recording
FromServer = Desired | Received | Refused


class WireError(ValueError):
    """A message that is not of this protocol. Carries the `Refused` to answer with."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(
            f"{refused.field}: {refused.message}" if refused.field else refused.message
        )
        self.refused = refused
