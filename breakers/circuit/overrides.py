"""The operator's and the agent's side of a breaker: force it, tune it, look at it, empty it."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from breakers.circuit.dimmer import Dimmer, checked_share
from breakers.circuit.histogram import Histogram, merged
from breakers.circuit.records import CALL_OUTCOMES, OUTCOMES, Drained, Override, Snapshot
from breakers.circuit.state_machine import Listener
from breakers.circuit.states import State, as_override
from breakers.common.rules import is_async
from breakers.common.uninterruptible import uninterruptible
from breakers.errors import PolicyError


@uninterruptible
class OverridableBreaker(Dimmer):
    """A state machine with a handle."""

    @property
    def state(self) -> State:
        """The state in force, an override included. Time that has run out is taken note of: an
        open breaker says half-open from then on, with or without traffic."""
        self._look()
        return self._shown

    @property
    def automatic_state(self) -> State:
        """The state under any override."""
        self._look()
        return self._state

    def _look(self) -> None:
        now, override = self._now(), self._override
        is_over = self._state is State.OPEN and now >= self._open_until
        if is_over or (override is not None and now >= override.until):
            with self._lock:
                self._settle(now)
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
        with self._lock:
            self._settle(now)
            if state is not None:
                until = inf if expires_in_s is None else now + expires_in_s
                before, figures = self._shown, self._figures()
                if self._current is not None:
                    self._fold(self._current, now)
                self._override = Override(state, until, id, share)
                self._new_generation(now)
                self._announce(before, "forced by an operator", figures, now)
            elif self._override is not None:
                self._lift("released by an operator", now)
        self._deliver()

    def reset(self) -> None:
        """Close the breaker with a fresh window; an override stays on top."""
        now = self._now()
        with self._lock:
            self._settle(now)
            self._trips = 0
            self._go(State.CLOSED, "reset", now, reset=True)
        self._deliver()

    def declare(self, **fields: object) -> None:
        """Say what code asks of this breaker's calls, such as their timeout, so that it can be
        shown. Of several kinds of call through one breaker, the first speaks for it."""
        if self._calls_declared:
            return
        with self._lock:
            self._calls_declared = True
            self.declared = self.declared.replace(fields)
            self.policy = self.declared.replace(self._remote)

    @property
    def remote(self) -> Mapping[str, object]:
        """The fields that `apply_policy` put in force over what code declares."""
        return self._remote

    def apply_policy(self, fields: Mapping[str, object]) -> None:
        """Replace fields of the declared policy; an empty mapping goes back to what code declares.

        Raises:
            PolicyError: a field is unknown or bad; then nothing has changed.
        """
        with self._lock:
            policy = self.declared.replace(fields)
            hedged = fields.get("hedge_delay") is not None
            if hedged and self._calls_declared and self.declared.hedge_delay is None:
                # Only code knows whether a call may safely be made twice.
                raise PolicyError(
                    "hedge_delay",
                    fields["hedge_delay"],
                    "left out: the code of these calls declares no hedging",
                )
            self._remote = dict(fields)
            if policy != self.policy:
                self._adopt(policy)

    def snapshot(self) -> Snapshot:
        """The breaker at this moment. An open one whose time is over is half-open from here on,
        so that it recovers on screen without traffic."""
        now = self._now()
        with self._lock:
            self._settle(now)
            self._fold_counters()
            forced = self._override is not None
            waits = self._state is State.OPEN and not forced
            latencies = merged((self._drained_latencies, self._latencies))
            shot = Snapshot(
                name=self.name,
                state=self._shown,
                automatic_state=self._state,
                override=self._override,
                would_be_open=forced and self._state is not State.CLOSED,
                since_s=now - self._since,
                cause=self._cause,
                retry_after_s=self._open_until - now if waits else None,
                in_flight=max(0, self._in_flight),
                window=self._figures(),
                counts={name: self._totals[name] + n for name, n in self._counts.items()},
                buckets=latencies.buckets,
                sum_s=latencies.sum_s,
                entered=dict(self._entered),
            )
        self._deliver()
        return shot

    def drain(self) -> Drained:
        """Everything since the last drain, for the agent."""
        now = self._now()
        with self._lock:
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
        self._deliver()
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
        with self._lock:
            self._counts[event] += n

    def add_listener(self, listener: Listener) -> None:
        """Call `listener` with each transition, in order, outside the lock. Errors are logged.

        Raises:
            TypeError: it is a coroutine function, which would never be awaited.
        """
        if is_async(listener):
            raise TypeError(f"listener {listener!r} is a coroutine function: use a plain function")
        self._listeners.append(listener)

    def remove_listener(self, listener: Listener) -> None:
        """Stop calling `listener`."""
        self._listeners.remove(listener)
