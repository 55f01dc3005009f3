"""Operator overrides on top of the breaker's state machine, run-time policy, and snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

from breakers.circuit.dimmer import Dimmer, checked_share
from breakers.circuit.histogram import Histogram, merged
from breakers.circuit.honoured_fields import CIRCUIT_FIELDS
from breakers.circuit.policy import Policy
from breakers.circuit.records import (
    CALL_OUTCOMES,
    OUTCOMES,
    Drained,
    Override,
    RefusalListener,
    Snapshot,
)
from breakers.circuit.state_machine import Listener
from breakers.circuit.states import State, as_override
from breakers.circuit.windows import make_window
from breakers.common.guard import Nested
from breakers.common.rules import is_async
from breakers.common.uninterruptible import uninterruptible
from breakers.errors import PolicyError


@uninterruptible
class OverridableBreaker(Dimmer):
    """A state machine that operators override, whose policy can change, and that is observed."""

    @property
    def state(self) -> State:
        """The state in force, an override included. Time that has run out is taken note of: an
        open breaker says half-open from then on, with or without traffic."""
        self._catch_up()
        return self._shown

    @property
    def automatic_state(self) -> State:
        """The state under any override."""
        self._catch_up()
        return self._state

    def _catch_up(self) -> None:
        """Apply what time alone changes: the end of the open time and of an override."""
        now, override = self._now(), self._override
        is_over = self._state is State.OPEN and now >= self._open_until
        if is_over or (override is not None and now >= override.until):
            self._guard.run_now(self._settle, now)
            self._deliver()

    def set_override(
        self,
        state: State | str | None,
        expires_in_s: float | None = None,
        id: str = "",
        share: float | None = None,
    ) -> None:
        """Force the breaker to a state on top of the automatic one, or lift that (None).

        Lifting `forced_open` goes to half-open, never straight to full traffic; lifting the others
        returns to the automatic state with a fresh window. The expiry counts on this process's
        monotonic clock. `share` is what `forced_partial` lets through, from 0 to 1.

        Raises:
            ValueError: no such override, an expiry that is not above 0, or a share that is missing,
                out of range, or given to another state.
        """
        if state is not None:
            state = as_override(state)
        share = checked_share(state, share)
        if expires_in_s is not None and not expires_in_s > 0:
            raise ValueError(f"expires_in_s is {expires_in_s!r}; it must be above 0")
        now = self._now()
        until = inf if expires_in_s is None else now + expires_in_s
        wanted = None if state is None else Override(state, until, id, share)
        self._guard.run(self._set_override, wanted, now)
        self._deliver()

    def _set_override(self, wanted: Override | None, now: float) -> None:
        self._settle(now)
        if wanted is not None:
            before, figures = self._shown, self._figures()
            if self._current is not None:
                self._fold(self._current, now)
            self._override = wanted
            self._new_generation(now)
            self._announce(before, "forced by an operator", figures, now)
        elif self._override is not None:
            self._lift("released by an operator", now)

    def reset(self) -> None:
        """Close the breaker with a fresh window; an override stays on top."""
        self._guard.run(self._change_by_hand, State.CLOSED, "reset", self._now(), None)
        self._deliver()

    def trip(self, cause: str = "opened by code", open_for_s: float | None = None) -> None:
        """Open the breaker as a failure would, without an operator's override: it lets probes pass
        after `open_for_s` seconds, `timeout_duration` where that is not given.

        Raises:
            ValueError: `open_for_s` is not above 0.
        """
        if open_for_s is not None and not open_for_s > 0:
            raise ValueError(f"open_for_s is {open_for_s!r}; it must be above 0")
        self._guard.run(self._change_by_hand, State.OPEN, cause, self._now(), open_for_s)
        self._deliver()

    def _change_by_hand(
        self, state: State, cause: str, now: float, open_for_s: float | None
    ) -> None:
        self._settle(now)
        if state is State.CLOSED:
            self._trips = 0
            self._go(State.CLOSED, cause, now, reset=True)
            return
        self._trip(cause, now, by_hand=True)
        if open_for_s is not None:
            self._open_until = now + open_for_s
            self._new_generation(now)

    def declare(self, **fields: object) -> None:
        """Declare what code asks of this breaker's calls, such as their timeout, so that it can be
        shown. Of several kinds of call through one breaker, the first declares it."""
        if not self._calls_declared:
            self._guard.run(self._declare, fields)

    @property
    def honours(self) -> tuple[str, ...] | None:
        """The fields of a policy that calls through this breaker obey; None means all. Those of a
        call, such as its timeout, are obeyed where `CallOptions` hold the breaker."""
        return None if self._calls_declared else CIRCUIT_FIELDS

    def _declare(self, fields: Mapping[str, object]) -> None:
        self._calls_declared = True
        self.declared = self.declared.replace(fields)
        self.policy = self.declared.replace(self._remote)

    def configure(self, **fields: object) -> None:
        """Change what code declares, at run time: `breaker.configure(failure_threshold=10)`. Fields
        that the dashboard has set stay on top.

        Raises:
            PolicyError: a field is unknown or bad; then nothing has changed.
        """
        declared = self.declared.replace(fields)
        declared.replace(self._remote)
        self._guard.run(self._configure, declared, dict(self._remote))

    def _configure(self, declared: Policy, remote: dict[str, object]) -> None:
        self.declared, self._remote = declared, remote
        self._altered = bool(remote) or self._fault is not None
        policy = declared.replace(remote)
        if policy != self.policy:
            self._adopt(policy)

    @property
    def remote(self) -> Mapping[str, object]:
        """The fields that `apply_policy` put in force over what code declares."""
        return self._remote

    def apply_policy(self, fields: Mapping[str, object]) -> None:
        """Replace fields of the declared policy; an empty mapping goes back to what code declares.

        Raises:
            PolicyError: a field is unknown or bad; then nothing has changed.
        """
        self.declared.replace(fields)
        hedged = fields.get("hedge_delay") is not None
        if hedged and self._calls_declared and self.declared.hedge_delay is None:
            # Only code knows whether a call may safely be made twice.
            raise PolicyError(
                "hedge_delay",
                fields["hedge_delay"],
                "left out: the code of these calls declares no hedging",
            )
        self._guard.run(self._apply_policy, dict(fields))

    def _apply_policy(self, fields: dict[str, object]) -> None:
        self._configure(self.declared, fields)

    def snapshot(self) -> Snapshot:
        """The breaker at this moment. An open one whose time is over is half-open from here on,
        so that it recovers on screen without traffic.

        A finaliser or signal handler that asks while its own thread updates the breaker gets the
        figures as they are in the middle of the update.
        """
        now = self._now()
        shot = self._guard.run_now(self._settled_snapshot, now)
        if isinstance(shot, Nested):
            return self._snapshot(now)
        self._deliver()
        return shot

    def _settled_snapshot(self, now: float) -> Snapshot:
        self._settle(now)
        self._fold_counters()
        return self._snapshot(now)

    def _snapshot(self, now: float) -> Snapshot:
        forced = self._override is not None
        waits = self._state is State.OPEN and not forced
        latencies = merged((self._drained_latencies, self._latencies))
        return Snapshot(
            name=self.name,
            state=self._shown,
            automatic_state=self._state,
            override=self._override,
            would_be_open=forced and self._state is not State.CLOSED,
            since_s=now - self._since,
            cause=self._cause,
            retry_after_s=self._open_until - now if waits else None,
            in_flight=max(0, self._in_flight),
            probe_successes=self._probe_successes,
            window=self._figures(),
            counts={name: self._totals[name] + n for name, n in self._counts.items()},
            buckets=latencies.buckets,
            sum_s=latencies.sum_s,
            entered=dict(self._entered),
        )

    def export_state(self) -> dict[str, Any]:
        """What another process needs to go on where this one is: the automatic state, the seconds
        it stays open, and how often it has tripped. Plain values, fit for JSON."""
        now = self._now()
        state = self.automatic_state
        left = max(0.0, self._open_until - now) if state is State.OPEN else None
        return {"state": state.value, "open_for_s": left, "trips": self._trips}

    def import_state(self, exported: Mapping[str, Any]) -> None:
        """Go on where another breaker was; the inverse of `export_state`.

        Raises:
            ValueError: it is no exported state; then nothing has changed.
        """
        state, trips, left = (exported.get(each) for each in ("state", "trips", "open_for_s"))
        if state not in (State.CLOSED, State.OPEN, State.HALF_OPEN):
            raise ValueError(f"state is {state!r}; it must be closed, open or half_open")
        if isinstance(trips, bool) or not isinstance(trips, int) or trips < 0:
            raise ValueError(f"trips is {trips!r}; it must be a whole number from 0")
        if state == State.OPEN and not (isinstance(left, int | float) and 0 <= left < inf):
            raise ValueError(f"open_for_s is {left!r}; it must be a number from 0")
        self._guard.run(self._import_state, State(state), trips, left or 0.0, self._now())
        self._deliver()

    def _import_state(self, state: State, trips: int, left: float, now: float) -> None:
        self._settle(now)
        if state is State.OPEN:
            self._open_until = now + left
        if state is not self._state:
            self._go(state, "imported", now, reset=True)
        else:
            self._new_generation(now)
        self._trips = trips

    def drain(self) -> Drained:
        """Everything since the last drain, for the agent."""
        now = self._now()
        drained = self._guard.run_now(self._drain, now)
        if isinstance(drained, Nested):
            return Drained({}, {}, 0.0, ())
        self._deliver()
        return drained

    def _drain(self, now: float) -> Drained:
        self._settle(now)
        self._fold_counters()
        counts, sketch = self._counts, self._latencies
        buckets = sketch.buckets
        for name, n in counts.items():
            self._totals[name] += n
        self._drained_latencies.merge(buckets, sketch.sum_s)
        self._counts = dict.fromkeys(OUTCOMES, 0)
        self._latencies = Histogram()
        transitions = tuple(self._kept)
        self._kept.clear()
        return Drained(
            {name: n for name, n in counts.items() if n}, buckets, sketch.sum_s, transitions
        )

    def count(self, event: str, n: int = 1) -> None:
        """Count an event of the caller around the breaker: retry, fallback, cache_hit, cache_miss,
        bulkhead_full.

        Raises:
            ValueError: there is no such event.
        """
        if event not in self._counts or event in CALL_OUTCOMES:
            raise ValueError(f"{event!r} is no event of a caller")
        self._guard.run(self._count, event, n)

    def _count(self, event: str, n: int) -> None:
        self._counts[event] += n

    def add_listener(self, listener: Listener) -> None:
        """Call `listener` with each transition, in order, outside the guard. Errors are logged.

        Raises:
            TypeError: it is a coroutine function, which would never be awaited.
        """
        if is_async(listener):
            raise TypeError(f"listener {listener!r} is a coroutine function: use a plain function")
        self._listeners.append(listener)

    def remove_listener(self, listener: Listener) -> None:
        """Stop calling `listener`."""
        self._listeners.remove(listener)

    def add_refusal_listener(self, listener: RefusalListener) -> None:
        """Call `listener` with the error of each refused call, in its thread, before it is raised.
        Errors are logged. While there is one, a refusal takes a few microseconds more.

        Raises:
            TypeError: it is a coroutine function, which would never be awaited.
        """
        if is_async(listener):
            raise TypeError(f"listener {listener!r} is a coroutine function: use a plain function")
        self._refusal_listeners.append(listener)
        # From now on refusals take the path that tells the listeners.
        self._refusing_until = -inf

    def remove_refusal_listener(self, listener: RefusalListener) -> None:
        """Stop calling `listener`."""
        self._refusal_listeners.remove(listener)

    def _adopt(self, policy: Policy) -> None:
        now = self._now()
        self._settle(now)
        before, self.policy = self.policy, policy
        self.policy_version += 1
        if (before.window_type, before.window_size) != (policy.window_type, policy.window_size):
            self._window = make_window(policy, now)
        if self._current is not None:
            self._new_generation(now)
