"""The state machine of a breaker: outcomes in, states out.

Where calls pass freely, a success only waits in its generation's `Ticket`. Everything else (window,
counters, histogram) is folded in later, in batches, under the lock: when enough wait, when the
window's time bucket ends, and before anything that is not a plain success, so that the order in
which a failure meets the successes before it stays exact.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from math import inf
from typing import Final

from breakers.circuit.admission import Ticket
from breakers.circuit.histogram import Histogram
from breakers.circuit.policy import Policy
from breakers.circuit.records import OUTCOMES, Override, RefusalListener, TransitionRecord
from breakers.circuit.states import State, check_transition
from breakers.circuit.trip_calls import RecordedBreaker
from breakers.circuit.trip_rules import open_duration, reason_to_trip
from breakers.circuit.windows import FAILED, SLOW, WindowFigures, make_window
from breakers.clock import Clock
from breakers.common.guard import Guard, give_way
from breakers.common.listeners import notify
from breakers.common.uninterruptible import uninterruptible

Listener = Callable[[TransitionRecord], None]

_BATCH: Final = 128
_MAX_KEPT_TRANSITIONS: Final = 64


@uninterruptible
class StateMachine(RecordedBreaker):
    """What `CircuitBreaker` stands on. Methods with an underscore expect to run inside the guard,
    but for `_flush`, `_record` and `_deliver`, which enter it or must be outside."""

    def __init__(
        self,
        name: str,
        policy: Policy,
        clock: Clock,
        random: Callable[[], float],
        always_look: bool,
    ) -> None:
        super().__init__()
        self.name = name
        self.declared = self.policy = policy
        self.policy_version = 0
        self._remote: dict[str, object] = {}
        self._calls_declared = False
        self._clock, self._now, self._random = clock, clock.monotonic, random
        self._always_look = always_look
        self._listeners: list[Listener] = []
        self._refusal_listeners: list[RefusalListener] = []
        self._override: Override | None = None
        self._transition_ids = count(1)
        self._begin_incarnation(State.CLOSED)

    def _begin_incarnation(self, state: State) -> None:
        """Fresh locks and counters: at construction, and in a child after fork."""
        self._guard = Guard()
        self._delivery = threading.Lock()
        self._undelivered: list[TransitionRecord] = []
        self._kept: list[TransitionRecord] = []
        self._entered: dict[State, int] = {}
        self._totals = dict.fromkeys(OUTCOMES, 0)
        self._counts = dict.fromkeys(OUTCOMES, 0)
        self._latencies, self._drained_latencies = Histogram(), Histogram()
        self._reset_counters()
        self._forget_trips()
        self._in_flight = 0
        self._refusing_until = -inf
        self._probes: set[Ticket] = set()
        self._probe_successes = self._trips = self._consecutive = 0
        self._open_until = inf
        self._cause = ""
        now = self._now()
        self._since = now
        self._state = state
        self._window = make_window(self.policy, now)
        self._current: Ticket | None = None
        self._ticket = None
        self._new_generation(now)

    @property
    def _shown(self) -> State:
        """The state in force, as it was last brought up to date."""
        return self._state if self._override is None else self._override.state

    # -- Outcomes --------------------------------------------------------------------------------

    def _permit(self, now: float) -> Ticket | None:
        if self._state is not State.HALF_OPEN or self._override is not None:
            return None
        policy = self.policy
        if len(self._probes) >= policy.half_open_max_calls:
            # A probe that never returned: its permit comes back when its lease is over.
            self._probes = {probe for probe in self._probes if probe.lease > now}
            if len(self._probes) >= policy.half_open_max_calls:
                return None
        probe = Ticket(plain_below=-1.0, edge=inf, batch=1, lease=now + policy.half_open_lease)
        self._probes.add(probe)
        return probe

    def _flush(self, ticket: Ticket, now: float) -> None:
        # Successes that decide nothing do not wait for the lock: the next thread that has it counts
        # them. A queue behind a thread that was put to sleep with the lock would never dissolve.
        matters = ticket is not self._ticket or now >= ticket.edge or ticket.batch < _BATCH
        if matters or ticket.is_full:
            give_way(self._guard)
        elif self._guard.is_busy:
            return
        self._guard.run(self._flush_guarded, ticket, now)
        self._deliver()

    def _flush_guarded(self, ticket: Ticket, now: float) -> None:
        self._settle(now)
        if ticket is not self._current:
            self._fold(ticket, now)

    def _abandon(self, ticket: Ticket) -> None:
        ticket.is_ended = True
        self._guard.run(self._probes.discard, ticket)

    def _count_ended(self, ticket: Ticket, now: float, elapsed: float, outcome: str | None) -> None:
        if ticket.lease:
            ticket.is_ended = True
        give_way(self._guard)
        self._guard.run(self._count_inside, ticket, now, elapsed, outcome)
        self._deliver()

    def _count_inside(
        self, ticket: Ticket, now: float, elapsed: float, outcome: str | None
    ) -> None:
        self._settle(now)
        self._fold(ticket, now)
        self._in_flight -= 1
        is_probe = ticket in self._probes
        current = is_probe or ticket is self._current
        self._probes.discard(ticket)
        if outcome is None:
            return
        slow_from = self.policy.slow_call_duration
        slow = slow_from is not None and elapsed >= slow_from and outcome != "ignored"
        self._counts[outcome] += 1
        self._counts["slow"] += slow
        self._latencies.record(elapsed)
        if current and outcome != "ignored":
            self._judge(outcome != "success", slow, is_probe, now)

    def _record_unasked(self, now: float, outcome: str | None) -> None:
        self._settle(now)
        if outcome is not None:
            self._counts[outcome] += 1
            if outcome != "ignored" and self._state is State.CLOSED:
                self._judge(outcome != "success", False, False, now)

    def _judge(self, failed: bool, slow: bool, is_probe: bool, now: float) -> None:
        """Let an outcome of the present generation move the automatic state."""
        self._consecutive = self._consecutive + 1 if failed else 0
        self._window.record(failed * FAILED | slow * SLOW, now)
        if is_probe or self._state is State.HALF_OPEN:
            bad_slow = slow and self.policy.slow_call_rate_threshold is not None
            self._judge_probe(
                failed or bad_slow, "test call failed" if failed else "test call was slow", now
            )
        elif self._state is State.CLOSED:
            if cause := self._reason_to_trip():
                self._trip(cause, now)
            elif self._current is not None:  # pragma: no branch - it is, where an outcome counts
                self._current.renew(self._current.edge, self._batch())

    def _judge_probe(self, failed: bool, cause: str, now: float) -> None:
        if failed:
            self._trip(cause, now)
            return
        self._probe_successes += 1
        if self._probe_successes >= self.policy.success_threshold:
            self._trips = 0
            self._go(State.CLOSED, f"test calls succeeded: {self._probe_successes}", now)

    def _reason_to_trip(self) -> str:
        """Why the window says open, in words; empty where it does not."""
        override = self._override
        if override is not None and override.state is State.FORCED_CLOSED:
            return ""
        return reason_to_trip(self.policy, self._window, self._consecutive)

    def _batch(self) -> int:
        """How many successes may wait: none while one of them could complete `minimum_calls`, or
        where the window is beyond a limit that it was not held to before."""
        override = self._override
        if override is not None and self._state is not State.CLOSED:
            return 1
        if self._reason_to_trip():
            return 1
        window = self._window
        enough = self.policy.enough_calls
        if (window.failures or window.slow) and window.calls < enough:
            return min(_BATCH, enough - window.calls)
        return _BATCH

    # -- Folding, inside the guard -----------------------------------------------------------------

    def _settle(self, now: float) -> None:
        """Bring everything up to date: pending successes, time that has run out."""
        ticket, override = self._current, self._override
        expired = override is not None and now >= override.until
        if ticket is not None:
            # What an override that is over let pass decides nothing: the window begins afresh.
            self._fold(ticket, now, judged=not expired)
        if override is not None and expired:
            self._lift(f"{override.state} expired", now)
        if self._state is State.OPEN and now >= self._open_until:
            self._go(State.HALF_OPEN, "wait ended, testing again", now)
        if ticket is not None and ticket is self._current:
            self._window.advance(now)
            # What was folded in brings the end of `minimum_calls` nearer.
            ticket.renew(self._edge(), self._batch())

    def _fold(self, ticket: Ticket, now: float, judged: bool = True) -> None:
        """Count the successes of a ticket; in the window too if it is of this generation."""
        n = ticket.pour(self._latencies)
        if not n:
            return
        self._in_flight -= n
        self._counts["success"] += n
        if ticket is not self._current:
            return
        # They happened before this moment, perhaps long before: none came since the last one.
        self._consecutive = 0
        self._window.record_successes(n, min(now, ticket.last))
        if self._state is State.CLOSED:
            if judged and (cause := self._reason_to_trip()):
                self._trip(cause, now)
        elif judged and self._state is State.HALF_OPEN:
            while n and self._state is State.HALF_OPEN:
                n -= 1
                self._judge_probe(failed=False, cause="", now=now)

    def _fold_counters(self) -> None:
        self._in_flight += self._take_starts()
        self._counts["rejected"] += self._take_refusals()

    # -- Changing state, inside the guard ----------------------------------------------------------

    def _trip(self, cause: str, now: float, by_hand: bool = False) -> None:
        self._keep_trip(cause, now, by_hand or self._override is not None)
        duration = open_duration(self.policy, self._trips, self._random())
        self._trips += 1
        self._open_until = now + duration
        self._go(State.OPEN, cause, now, reset=by_hand)

    def _go(self, after: State, cause: str, now: float, reset: bool = False) -> None:
        if not reset:
            check_transition(self._state, after)
        shown, figures = self._shown, self._figures()
        self._state = after
        self._probes = set()
        self._probe_successes = 0
        if after is not State.OPEN:
            self._open_until = inf
        if after is State.CLOSED:
            # Until then the window shows what is true: what tripped it, and how probes went.
            self._consecutive = 0
            self._window = make_window(self.policy, now)
        self._new_generation(now)
        self._announce(shown, cause, figures, now)

    def _announce(self, before: State, cause: str, figures: WindowFigures, now: float) -> None:
        """Tell listeners and the agent, if the state in force has changed."""
        if self._shown is before:
            return
        self._since, self._cause = now, cause
        self._entered[self._shown] = self._entered.get(self._shown, 0) + 1
        wall, shown = self._clock.wall(), self._shown
        id = next(self._transition_ids)
        record = TransitionRecord(id, self.name, now, wall, before, shown, cause, figures)
        if len(self._kept) == _MAX_KEPT_TRANSITIONS:
            del self._kept[0]  # an empty deque weighs more than a window of calls
        self._kept.append(record)
        if self._listeners:
            self._undelivered.append(record)

    def _new_generation(self, now: float) -> None:
        """Outcomes of calls that began before this moment no longer move the state."""
        override = self._override
        refuses = override is None and self._state is State.OPEN and not self._refusal_listeners
        self._refusing_until = self._open_until if refuses else -inf
        if override is None:
            passes = self._state is State.CLOSED
        else:
            passes = override.state is not State.FORCED_OPEN
        ended, ticket = self._current, None
        if passes:
            slow = self.policy.slow_call_duration
            plain_below = -1.0 if self._always_look else (inf if slow is None else slow)
            ticket = Ticket(plain_below, self._edge(), self._batch())
        self._current = ticket
        self._ticket = None if self._sheds() else ticket
        if ended is not None:
            # A success may have come since the last look, on its way past the lock. Only now can no
            # other: a call that still holds this ticket sees that it has ended, and folds it
            # itself.
            self._fold(ended, now)

    def _sheds(self) -> bool:
        """Whether a share of the calls is refused although the state lets calls pass."""
        return False

    def _edge(self) -> float:
        """Until when successes may wait to be folded in."""
        edge = self._window.edge
        if self._override is not None:
            edge = min(edge, self._override.until, self._open_until)
        return edge

    def _figures(self) -> WindowFigures:
        window = self._window
        return WindowFigures(window.calls, window.failures, window.slow, self._consecutive)

    def _deliver(self) -> None:
        """Hand transitions to the listeners: in order, outside the guard, one thread at a time."""
        if self._guard.is_mine:
            return  # the outer act delivers when it has left the guard
        while self._undelivered and self._delivery.acquire(blocking=False):
            try:
                while self._undelivered:
                    record = self._undelivered.pop(0)
                    for listener in tuple(self._listeners):
                        notify(listener, record)
            finally:
                self._delivery.release()

    def _lift(self, cause: str, now: float) -> None:
        lifted, before, figures = self._override, self._shown, self._figures()
        self._override = None
        if lifted is not None and lifted.state is State.FORCED_OPEN:
            self._state = State.HALF_OPEN
            self._open_until = inf
        self._probes = set()
        self._probe_successes = 0
        self._consecutive = 0
        self._window = make_window(self.policy, now)
        self._new_generation(now)
        self._announce(before, cause, figures, now)
