from array import array
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from breakers.circuit.admission_plain import Sketch
from breakers.deadline import Deadline

P = ParamSpec("P")
R = TypeVar("R")

SOURCE: int

def count_latencies(
    counts: array[int], first: int, latencies: list[float]
) -> list[float] | None: ...

class TimeLimit:
    def __init__(
        self,
        seconds: float,
        deadline_type: type[Deadline],
        variable: ContextVar[Deadline | None],
        call_timeout: type[Exception],
    ) -> None: ...
    def run(self, func: Callable[..., Any], args: Any, kwargs: Any, /) -> Any: ...

class TaskLimit:
    def __init__(
        self,
        seconds: float,
        timeout_type: type[Deadline],
        variable: ContextVar[Deadline | None],
        otherwise: Callable[[float], Any],
        task_of: Callable[[Any], Any],
        local: Any,
    ) -> None: ...
    def begin(self) -> Any: ...
    def returned(self, timeout: Any, /) -> None: ...

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
    def pour(self, sketch: Sketch) -> int: ...

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
    _records_refusals: bool
    def _refused(self, now: float, /) -> None: ...
    def _record_call(self, start: float, elapsed: float, outcome: int, /) -> None: ...
    def _read_calls(self, since: int, /) -> tuple[int, bytes]: ...
    def _resize_calls(self, capacity: int, /) -> None: ...
    def _note_attempt(self, number: int, /) -> None: ...
    def _reset_counters(self) -> None: ...
    def _take_starts(self) -> int: ...
    def _take_refusals(self) -> int: ...
