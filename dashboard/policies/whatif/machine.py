"""The breaker's own state machine, run on replayed time."""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final

from breakers.circuit.admission import Ticket
from breakers.circuit.breaker import CircuitBreaker
from breakers.circuit.policy import Policy
from breakers.circuit.states import State
from breakers.errors import CircuitBreakerOpen

# Jitter of the open time is replayed at its mean.
_MEAN: Final = 0.5


class ReplayClock:
    """A clock that shows the time of the call that is replayed."""

    def __init__(self, at: float) -> None:
        self.at = at

    def monotonic(self) -> float:
        return self.at

    def wall(self) -> float:
        return self.at


@dataclass(slots=True)
class Piece:
    """A state from one time to another, in Unix seconds."""

    begins: float
    ends: float
    state: str


@dataclass(slots=True)
class Strip:
    """The states of one instance, end to end."""

    pieces: list[Piece] = field(default_factory=list)

    def enter(self, at: float, state: str) -> None:
        """The state has changed."""
        if self.pieces:
            self.pieces[-1].ends = at
        self.pieces.append(Piece(at, at, state))

    def end(self, at: float) -> None:
        """Nothing is known after this time."""
        if self.pieces:
            self.pieces[-1].ends = at

    def seconds(self, *states: str) -> float:
        """How long it was in one of these states."""
        return sum(each.ends - each.begins for each in self.pieces if each.state in states)


class ReplayBreaker(CircuitBreaker):
    """A breaker whose calls are replayed. It counts what it refuses and records its states."""

    def __init__(self, policy: Policy, at: float) -> None:
        self.replay_clock = ReplayClock(at)
        super().__init__(
            registry=None,
            clock=self.replay_clock,
            random=lambda: _MEAN,
            **policy.as_dict(),
        )
        # Test calls that run: end, number, ticket, latency, outcome.
        self._tests: list[tuple[float, int, Ticket, float, str]] = []
        self.strip = Strip()
        self.strip.enter(at, State.CLOSED)
        self.trips = 0
        self.opened_at = at
        self.add_listener(lambda record: self._noted(record.at, record.after))

    def _noted(self, at: float, after: State) -> None:
        if after is State.OPEN:
            self.trips += 1
            self.opened_at = at
        self.strip.enter(at, after)

    def open_until(self, at: float) -> float:
        """Until when every call is refused; `at` where calls pass."""
        self._end_tests(at)
        self.replay_clock.at = max(self.replay_clock.at, at)
        if (held := self._override) is not None:
            if held.until > at:
                return held.until
            self.replay_clock.at, now = held.until, self.replay_clock.at
            self._catch_up()
            self.replay_clock.at = now
        if self._state is State.OPEN and self._open_until > at:
            return self._open_until
        # An open time that ended between two calls ended then, not at the next call.
        if self._state is State.OPEN:
            self.replay_clock.at, now = self._open_until, self.replay_clock.at
            self._catch_up()
            self.replay_clock.at = now
        return at

    @property
    def is_closed(self) -> bool:
        """Whether calls pass freely."""
        return self._shown is State.CLOSED

    @property
    def is_open(self) -> bool:
        """Whether it has opened by itself."""
        return self._shown is State.OPEN

    def hold(self, at: float, seconds: float) -> None:
        """Force it open, as the rule of a quorum does."""
        self.replay_clock.at = max(self.replay_clock.at, at)
        self.set_override(State.FORCED_OPEN, seconds)

    def let_go(self, at: float) -> None:
        """End that."""
        self.open_until(at)
        self.set_override(None)

    def replayed(self, at: float, outcome: str, seconds: float, takes: float) -> bool:
        """Replay one call: its outcome is success, failure, timeout or ignored. Returns whether it
        was let through. `seconds` is its latency; a test call ends `takes` seconds later, so that
        the breaker is half-open meanwhile. Other calls are known by when they ended."""
        ticket = self.started(at)
        if ticket is None:
            return False
        if self._shown is State.HALF_OPEN and takes > 0:
            heappush(self._tests, (at + takes, len(self._tests), ticket, seconds, outcome))
        else:
            self.ended(ticket, at, seconds, outcome)
        return True

    def _end_tests(self, until: float) -> None:
        """End the test calls whose time has come."""
        while self._tests and self._tests[0][0] <= until:
            at, _, ticket, seconds, outcome = heappop(self._tests)
            self.ended(ticket, at, seconds, outcome)

    def started(self, at: float) -> Ticket | None:
        """Begin one call; None where it is refused."""
        self.replay_clock.at = max(self.replay_clock.at, at)
        try:
            return self.enter()[0]
        except CircuitBreakerOpen:
            return None

    def ended(self, ticket: Ticket, at: float, seconds: float, outcome: str | None) -> None:
        """End a call that was begun; None for one that was cancelled."""
        self.replay_clock.at = max(self.replay_clock.at, at)
        self._record(ticket, self.replay_clock.at, seconds, outcome)

    def succeeded(self, n: int, at: float) -> None:
        """Replay n successes, none of them slow, at one time, while it is closed."""
        self.replay_clock.at = max(self.replay_clock.at, at)
        now = self.replay_clock.at
        self._guard.run(self._add_successes, n, now)
        self._deliver()

    def _add_successes(self, n: int, now: float) -> None:
        self._settle(now)
        self._consecutive = 0
        self._window.record_successes(n, now)
        if cause := self._reason_to_trip():
            self._trip(cause, now)
