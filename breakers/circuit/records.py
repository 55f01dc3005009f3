"""What a breaker tells about itself: frozen records for listeners, agents and people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from breakers.circuit.states import State
from breakers.circuit.windows import WindowFigures
from breakers.errors import CircuitBreakerOpen

RefusalListener = Callable[[CircuitBreakerOpen], None]

# The names of the wire's counts, in its order.
OUTCOMES: Final = (
    "success",
    "failure",
    "timeout",
    "slow",
    "ignored",
    "rejected",
    "bulkhead_full",
    "retry",
    "fallback",
    "cache_hit",
    "cache_miss",
)
# Those that only a call through the breaker can have.
CALL_OUTCOMES: Final = frozenset({"success", "failure", "timeout", "ignored", "slow", "rejected"})


@dataclass(frozen=True, slots=True)
class TransitionRecord:
    """A change of the state in force. `at` is monotonic, `wall` Unix time, both in seconds.

    >>> from breakers import CircuitBreaker
    >>> breaker = CircuitBreaker()
    >>> breaker.add_listener(lambda record: print(record.before, record.after, record.cause))
    >>> breaker.set_override("metrics_only")
    closed metrics_only forced by an operator
    """

    id: int
    breaker: str
    at: float
    wall: float
    before: State
    after: State
    cause: str
    window: WindowFigures


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A call in a breaker's flight recorder. `start` is on the breaker's monotonic clock.

    `outcome` is success, failure, timeout, ignored, cancelled or rejected; `attempt` counts from 1.

    >>> from breakers import CircuitBreaker
    >>> breaker = CircuitBreaker()
    >>> breaker.call(len, "four")
    4
    >>> [call.outcome for call in breaker.recorded_calls()]
    ['success']
    """

    start: float
    outcome: str
    latency_s: float
    attempt: int


@dataclass(frozen=True, slots=True)
class TrippingCalls:
    """The calls that opened a breaker: the entries of the flight recorder at the trip (`at`,
    monotonic). `first` numbers the first of them since the process began."""

    at: float
    cause: str
    first: int
    entries: bytes


@dataclass(frozen=True, slots=True)
class Override:
    """An operator's override: the state it forces and, on the monotonic clock, until when.

    `share` is the share of calls that `forced_partial` lets through; 1 for other states."""

    state: State
    until: float
    id: str
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that is injected into `share` of the calls until `until` on the breaker's clock, see
    `breakers.circuit.faults`. `latency_s` comes before the call, whatever the kind."""

    id: str
    kind: str
    share: float
    latency_s: float
    until: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A breaker at one moment. `state` is the one in force.

    `counts`, `buckets` (latencies, see `breakers.circuit.histogram`), `sum_s` and `entered` (how
    often each state came into force) are totals since the start. `probe_successes` are those of the
    present half-open time. `window` has the outcomes of recent calls in every state.

    >>> from breakers import CircuitBreaker
    >>> breaker = CircuitBreaker()
    >>> breaker.call(len, "four")
    4
    >>> shot = breaker.snapshot()
    >>> shot.state, shot.counts["success"], shot.in_flight
    (<State.CLOSED: 'closed'>, 1, 0)
    """

    name: str
    state: State
    automatic_state: State
    override: Override | None
    would_be_open: bool
    since_s: float
    cause: str
    retry_after_s: float | None
    in_flight: int
    probe_successes: int
    window: WindowFigures
    counts: dict[str, int]
    buckets: dict[int, int]
    sum_s: float
    entered: dict[State, int]


@dataclass(frozen=True, slots=True)
class Drained:
    """What happened at a breaker since the last drain, each call in exactly one drain."""

    counts: dict[str, int]
    buckets: dict[int, int]
    sum_s: float
    transitions: tuple[TransitionRecord, ...]
