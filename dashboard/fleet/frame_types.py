"""Views of the fleet and frames of their changes, as JSON-ready dictionaries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NotRequired, TypedDict


@dataclass(frozen=True, slots=True)
class OverrideInfo:
    """An operator's override as pages show it. `expires_at` and `created_at` are Unix time."""

    id: str
    service: str
    breaker: str
    instances: list[str] | None
    state: str
    reason: str
    by: str
    revision: int
    expires_at: float
    created_at: float = 0.0
    share: float | None = None


class InstanceView(TypedDict):
    """`seen_at` is Unix time of the last report; `stale` after three intervals without one.
    `over_capacity`, where there are any, are breakers of it beyond the capacity of its service, 32
    at most; `tags` are its own, and `unknown` the fields of a policy that it does not know."""

    id: str
    host: str
    pid: int
    version: str
    zone: str
    seen_at: float
    stale: bool
    revision: int
    over_capacity: NotRequired[list[str]]
    tags: NotRequired[list[str]]
    unknown: NotRequired[list[str]]


class BreakerAtInstance(TypedDict):
    """What one instance says of a breaker. `since_at` is Unix time."""

    id: str
    state: str
    since_at: float
    cause: str
    in_flight: int
    would_be_open: bool
    stale: bool


class LastTransition(TypedDict):
    at: float
    before: str
    after: str
    cause: str
    instance: str


class Refusal(TypedDict):
    instance: str
    reason: str


class OverrideView(TypedDict):
    """An override and how far it has got: `applied` of `total` instances confirmed it. `share` is
    there for `forced_partial` alone."""

    id: str
    state: str
    reason: str
    by: str
    created_at: float
    expires_at: float
    applied: int
    total: int
    pending: list[str]
    refused: list[Refusal]
    share: NotRequired[float]


class OutageView(TypedDict):
    """The outage that a breaker is in: since the first trip, until no instance is open or
    half-open. `cause` and `instance` are those of the first trip, `instances` is how many tripped.
    """

    id: str
    began: float
    cause: str
    instance: str
    instances: int
    failed_tests: int
    passed_tests: int
    refused: int


class Figures(TypedDict):
    """Figures of the last ten whole seconds.

    `ran` calls reached the dependency; `failed` of them failed or timed out, which is
    `failed_pct`. `refused` calls did not run: the breaker or its bulkhead did not let them
    through. `rate` is both kinds, calls a second. Latencies are of the calls that ran.
    """

    rate: float
    ran: int
    failed: int
    refused: int
    failed_pct: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    counts: dict[str, int]


class Minute(TypedDict):
    """Calls, and those that failed or were refused, of each of the last 60 s, oldest first."""

    spark: list[int]
    spark_err: list[int]


class Tail(TypedDict):
    """The last seconds of a `Minute`."""

    tail: list[int]
    tail_err: list[int]


class BreakerView(Figures):
    """A breaker over all its instances. In a frame that is not full, `instances` has only those
    that have changed at this breaker, and one that was sent before has a `Tail` instead of its
    `Minute`: the reader lays both over what it has."""

    service: str
    name: str
    state: str
    states: dict[str, int]
    instances: list[BreakerAtInstance]
    last: LastTransition | None
    override: OverrideView | None
    outage: OutageView | None
    # Half-open on some instances, and no instance was called for a minute.
    idle_half_open: NotRequired[bool]
    spark: NotRequired[list[int]]
    spark_err: NotRequired[list[int]]
    tail: NotRequired[list[int]]
    tail_err: NotRequired[list[int]]


class Removed(TypedDict):
    breakers: list[str]
    instances: list[str]


class OverCapacityView(TypedDict):
    """Instances and breakers over capacity during the last minute, up to 1,000 each."""

    instances: int
    breakers: int


class Frame(TypedDict):
    """What changed at one service. `full` ones replace everything known of it."""

    type: str
    service: str
    seq: int
    at: float
    full: bool
    interval_s: float
    breakers: list[BreakerView]
    instances: list[InstanceView]
    removed: Removed
    over_capacity: OverCapacityView
