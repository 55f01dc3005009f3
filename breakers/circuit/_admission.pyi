from array import array
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from breakers.circuit.histogram import Histogram

P = ParamSpec("P")
R = TypeVar("R")

SOURCE: int

def count_latencies(
    counts: array[int], first: int, latencies: list[float]
) -> list[float] | None: ...

class Ticket:
    plain_below: float
    edge: float
    batch: int
    lease: float
    last: float
    is_ended: bool
    is_full: bool
    def __init__(self, plain_below: float, edge: float, batch: int, lease: float = 0.0) -> None: ...
    def renew(self, edge: float, batch: int) -> None: ...
    def pour(self, sketch: Histogram) -> int: ...

class Admission:
    name: str
    _ticket: Ticket | None
    _refusing_until: float
    _now: Callable[[], float]
    def call(self, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    def enter(self) -> tuple[Ticket, float]: ...
    def leave(
        self, ticket: Ticket, start: float, error: BaseException | None = None, result: Any = None
    ) -> None: ...
    def _begin(self) -> tuple[Ticket, float, Any] | None: ...
    def _end(
        self,
        begun: tuple[Ticket, float, Any],
        error: BaseException | None = None,
        result: Any = None,
        /,
    ) -> None: ...
    def _passed(self, ticket: Ticket, now: float, elapsed: float) -> None: ...
    def _refused(self) -> None: ...
    def _reset_counters(self) -> None: ...
    def _take_starts(self) -> int: ...
    def _take_refusals(self) -> int: ...
