"""The circuit breaker.

Where calls pass freely, a success costs two clock readings and two list appends. Everything else
(window, counters, histogram) is folded in later, in batches, under the lock: when enough are
pending, when the window's time bucket ends, and before anything that is not a plain success, so
that the order in which a failure meets the successes before it stays exact. Appends and slice
deletions of a list are atomic, with the interpreter lock and with free-threaded Python's per-list
locks alike. No lock is held while the callee runs.
"""

from __future__ import annotations

import os
import random
import threading
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from itertools import count
from math import inf
from types import TracebackType
from typing import Any, Final, ParamSpec, TypeVar

from breakers import wrapping
from breakers.clock import SYSTEM_CLOCK, Clock
from breakers.errors import CircuitBreakerOpen, CircuitForcedOpen
from breakers.histogram import Histogram
from breakers.outcomes import ErrorRule, classify, error_rule
from breakers.policy import Policy
from breakers.records import OUTCOMES, Drained, Override, Snapshot, TransitionRecord
from breakers.registry import Registry
from breakers.registry import registry as default_registry
from breakers.retries import RetryBudget
from breakers.states import State, as_override, check_transition
from breakers.windows import FAILED, SLOW, WindowFigures, make_window

P = ParamSpec("P")
R = TypeVar("R")
Listener = Callable[[TransitionRecord], None]

_BATCH: Final = 64
_MAX_KEPT_TRANSITIONS: Final = 64
_RAN: Final = frozenset({"success", "failure", "timeout", "ignored"})


class Entry:
    """The ticket of a call that was let in: one a generation where calls pass, one a probe.

    `plain_below` is the latency under which a success needs no closer look; -1 where all do.
    """

    __slots__ = ("batch", "edge", "lease", "pending", "plain_below")

    def __init__(self, plain_below: float, edge: float, batch: int, lease: float = 0.0) -> None:
        self.pending: list[float] = []
        self.plain_below = plain_below
        self.edge = edge
        self.batch = batch
        self.lease = lease


class CircuitBreaker:
    """Stops calling what keeps failing, and lets probes find out when it is well again.

    Args:
        failure_threshold: consecutive failures that open it; None switches the rule off.
        timeout_duration: seconds it stays open before it lets probes pass.
        success_threshold: successful probes that close it.
        name: how it appears everywhere. Only named breakers are registered and reported.
        record: which errors are failures: types, or a function of the error.
        ignore: errors that say nothing about the callee; they win over `record`.
        is_failure: a function that calls a returned value a failure.
        clock: injected in tests; decisions read its monotonic side only.
        registry: where a named breaker is registered; None for nowhere.
        random: a function like `random.random`, for the jitter.
        fields: any other field of `Policy`.

    Raises:
        PolicyError: a field has a value it cannot have.

    >>> breaker = CircuitBreaker(failure_threshold=2, timeout_duration=30)
    >>> breaker.call(len, "four")
    4
    """

    def __init__(
        self,
        failure_threshold: int | None = 5,
        timeout_duration: float = 60.0,
        success_threshold: int = 2,
        *,
        name: str | None = None,
        record: ErrorRule = (Exception,),
        ignore: ErrorRule = (),
        is_failure: Callable[[Any], bool] | None = None,
        clock: Clock = SYSTEM_CLOCK,
        registry: Registry | None = default_registry,
        random: Callable[[], float] = random.random,
        **fields: object,
    ) -> None:
        article: dict[str, object] = {
            "failure_threshold": failure_threshold,
            "timeout_duration": timeout_duration,
            "success_threshold": success_threshold,
        }
        self.name = name or "unnamed"
        self.declared = Policy().replace({**article, **fields})
        self.policy = self.declared
        self.policy_version = 0
        self._remote: dict[str, object] = {}
        self._records, self._ignores = error_rule(record), error_rule(ignore)
        self._is_failure = is_failure
        self._clock, self._now, self._random = clock, clock.monotonic, random
        self._listeners: list[Listener] = []
        self._override: Override | None = None
        self._transition_ids = count(1)
        self.retry_budget = RetryBudget()
        self._begin_life(State.CLOSED)
        _live.add(self)
        if name and registry is not None:
            registry.add(self)

    def _begin_life(self, state: State) -> None:
        """Fresh locks and counters: at construction, and in a child after fork."""
        self._lock = threading.Lock()
        self._delivery = threading.Lock()
        self._undelivered: deque[TransitionRecord] = deque()
        self._kept: deque[TransitionRecord] = deque(maxlen=_MAX_KEPT_TRANSITIONS)
        self._totals = dict.fromkeys(OUTCOMES, 0)
        self._counts = dict.fromkeys(OUTCOMES, 0)
        self._histogram = Histogram()
        self._started: list[None] = []
        self._rejects: list[None] = []
        self._in_flight = 0
        self._probes: set[Entry] = set()
        self._probe_successes = 0
        self._trips = 0
        self._consecutive = 0
        self._open_until = inf
        self._cause = ""
        now = self._now()
        self._since = now
        self._state = state
        self._window = make_window(self.policy, now)
        self._entry: Entry | None = None
        self._new_generation(now)

    # -- Calling ---------------------------------------------------------------------------------

    def call(self, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call `func` if the breaker lets it.

        Raises:
            CircuitBreakerOpen: the breaker refused, `CircuitForcedOpen` if an operator did.
            Exception: whatever `func` raises.
        """
        entry = self._entry or self._admit()
        now = self._now
        self._started.append(None)
        start = now()
        try:
            result = func(*args, **kwargs)
        except BaseException as error:
            self._failed(entry, now(), start, error)
            raise
        end = now()
        elapsed = end - start
        if elapsed < entry.plain_below:
            pending = entry.pending
            pending.append(elapsed)
            if len(pending) >= entry.batch or end >= entry.edge or entry is not self._entry:
                self._flush(entry, end)
        else:
            self._returned(entry, end, elapsed, result)
        return result

    async def acall(
        self, func: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """`call` for a coroutine function. A cancelled call is neither success nor failure."""
        entry = self._entry or self._admit()
        now = self._now
        self._started.append(None)
        start = now()
        try:
            result = await func(*args, **kwargs)
        except BaseException as error:
            self._failed(entry, now(), start, error)
            raise
        end = now()
        elapsed = end - start
        if elapsed < entry.plain_below:
            pending = entry.pending
            pending.append(elapsed)
            if len(pending) >= entry.batch or end >= entry.edge or entry is not self._entry:
                self._flush(entry, end)
        else:
            self._returned(entry, end, elapsed, result)
        return result

    def __call__(self, func: Callable[P, R]) -> Callable[P, R]:
        """Decorate a function, coroutine function, generator or async generator.

        >>> breaker = CircuitBreaker()
        >>> @breaker
        ... def double(n: int) -> int:
        ...     return 2 * n
        >>> double(4)
        8
        """
        return wrapping.wrap(self, func)

    def __enter__(self) -> CircuitBreaker:
        entry, start = self.enter()
        _entered.set((self, entry, start, _entered.get()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        held = _entered.get()
        while held is not None and held[0] is not self:
            held = held[3]
        if held is None:
            raise RuntimeError("left a breaker that was not entered in this context")
        _entered.set(held[3])
        self.leave(held[1], held[2], error)

    async def __aenter__(self) -> CircuitBreaker:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, trace)

    def enter(self) -> tuple[Entry, float]:
        """Ask for a permit; give what it returns back to `leave`. For integrations.

        Raises:
            CircuitBreakerOpen: the breaker refused.
        """
        entry = self._entry or self._admit()
        self._started.append(None)
        return entry, self._now()

    def leave(
        self, entry: Entry, start: float, error: BaseException | None = None, result: Any = None
    ) -> None:
        """Say how the call that `enter` let in went."""
        end = self._now()
        if error is not None:
            self._failed(entry, end, start, error)
        else:
            self._returned(entry, end, end - start, result)

    # -- Outcomes --------------------------------------------------------------------------------

    def _admit(self) -> Entry:
        """Where calls do not pass freely: a probe's permit, or a refusal."""
        now = self._now()
        if now < self._open_until and self._state is State.OPEN and self._override is None:
            self._reject()
            raise CircuitBreakerOpen(self.name, self._open_until - now)
        with self._lock:
            self._settle(now)
            entry = self._entry or self._permit(now)
            override = self._override
        self._deliver()
        if entry is not None:
            return entry
        self._reject()
        if override is not None:
            raise CircuitForcedOpen(
                self.name, None if override.until == inf else override.until - now
            )
        after = self._open_until - now if self._state is State.OPEN else None
        raise CircuitBreakerOpen(self.name, after)

    def _reject(self) -> None:
        rejects = self._rejects
        rejects.append(None)
        if len(rejects) >= 1024:
            with self._lock:
                self._fold_rejects()

    def _permit(self, now: float) -> Entry | None:
        if self._state is not State.HALF_OPEN or self._override is not None:
            return None
        policy = self.policy
        if len(self._probes) >= policy.half_open_max_calls:
            # A probe that never returned: its permit comes back when its lease is over.
            self._probes = {probe for probe in self._probes if probe.lease > now}
            if len(self._probes) >= policy.half_open_max_calls:
                return None
        probe = Entry(plain_below=-1.0, edge=inf, batch=1, lease=now + policy.half_open_lease)
        self._probes.add(probe)
        return probe

    def _flush(self, entry: Entry, now: float) -> None:
        with self._lock:
            self._settle(now)
            if entry is not self._entry:
                self._fold(entry, now)
        self._deliver()

    def _returned(self, entry: Entry, now: float, elapsed: float, result: Any) -> None:
        failed = self._is_failure is not None and self._is_failure(result)
        self._record(entry, now, elapsed, "failure" if failed else "success")

    def _failed(self, entry: Entry, now: float, start: float, error: BaseException) -> None:
        outcome = classify(error, self._records, self._ignores)
        self._record(entry, now, now - start, outcome)

    def _record(self, entry: Entry, now: float, elapsed: float, outcome: str | None) -> None:
        """Count one outcome; None is a cancelled call, which says nothing and frees its permit."""
        with self._lock:
            self._settle(now)
            self._fold(entry, now)
            self._in_flight -= 1
            current = entry is self._entry or entry in self._probes
            is_probe = entry in self._probes
            self._probes.discard(entry)
            if outcome is not None:
                slow_from = self.policy.slow_call_duration
                slow = slow_from is not None and elapsed >= slow_from and outcome != "ignored"
                self._counts[outcome] += 1
                self._counts["slow"] += slow
                self._histogram.record(elapsed)
                if current and outcome != "ignored":
                    self._judge(outcome != "success", slow, is_probe, now)
        self._deliver()

    def _judge(self, failed: bool, slow: bool, is_probe: bool, now: float) -> None:
        """Let an outcome of the present generation move the automatic state."""
        if is_probe or self._state is State.HALF_OPEN:
            bad_slow = slow and self.policy.slow_call_rate_threshold is not None
            self._judge_probe(
                failed or bad_slow, "probe failed" if failed else "probe was slow", now
            )
        elif self._state is State.CLOSED:
            self._consecutive = self._consecutive + 1 if failed else 0
            self._window.record(failed * FAILED | slow * SLOW, now)
            if cause := self._reason_to_trip():
                self._trip(cause, now)
            elif self._entry is not None:
                self._entry.batch = self._batch()

    def _judge_probe(self, failed: bool, cause: str, now: float) -> None:
        if failed:
            self._trip(cause, now)
            return
        self._probe_successes += 1
        if self._probe_successes >= self.policy.success_threshold:
            self._trips = 0
            self._go(State.CLOSED, f"{self._probe_successes} probes succeeded", now)

    def _reason_to_trip(self) -> str:
        """Why the window says open, in words; empty where it does not."""
        policy, window = self.policy, self._window
        override = self._override
        if override is not None and override.state is State.FORCED_CLOSED:
            return ""
        if policy.failure_threshold is not None and self._consecutive >= policy.failure_threshold:
            return f"{self._consecutive} failures in a row"
        if window.calls < policy.minimum_calls or not window.calls:
            return ""
        if (limit := policy.failure_rate_threshold) is not None:
            rate = window.failures / window.calls
            if rate >= limit:
                return f"{rate:.0%} of {window.calls} calls failed"
        if (limit := policy.slow_call_rate_threshold) is not None:
            rate = window.slow / window.calls
            if rate >= limit:
                return f"{rate:.0%} of {window.calls} calls were slow"
        return ""

    def _batch(self) -> int:
        """How many successes may wait: none while one of them could complete `minimum_calls`."""
        override = self._override
        if override is not None and self._state is not State.CLOSED:
            return 1
        window = self._window
        if (window.failures or window.slow) and window.calls < self.policy.minimum_calls:
            return min(_BATCH, self.policy.minimum_calls - window.calls)
        return _BATCH

    # -- Folding, under the lock -----------------------------------------------------------------

    def _settle(self, now: float) -> None:
        """Bring everything up to date: pending successes, time that has run out."""
        self._fold_started()
        entry = self._entry
        if entry is not None:
            self._fold(entry, now)
        override = self._override
        if override is not None and now >= override.until:
            self._lift(f"{override.state} expired", now)
        if self._state is State.OPEN and now >= self._open_until:
            self._go(State.HALF_OPEN, "the open time is over", now)
        if entry is not None and entry is self._entry:
            self._window.advance(now)
            entry.edge = self._edge()

    def _fold_started(self) -> None:
        n = len(self._started)
        if n:
            del self._started[:n]
            self._in_flight += n

    def _fold_rejects(self) -> None:
        n = len(self._rejects)
        if n:
            del self._rejects[:n]
            self._counts["rejected"] += n

    def _fold(self, entry: Entry, now: float) -> None:
        """Count an entry's pending successes, and in the window too if it is of this generation."""
        n = len(entry.pending)
        if not n:
            return
        batch = entry.pending[:n]
        del entry.pending[:n]
        self._fold_started()
        self._in_flight -= n
        self._counts["success"] += n
        self._histogram.record_many(batch)
        if entry is not self._entry:
            return
        if self._state is State.CLOSED:
            self._consecutive = 0
            self._window.record_successes(n, now)
            if cause := self._reason_to_trip():
                self._trip(cause, now)
        elif self._state is State.HALF_OPEN:
            for _ in range(n):
                if self._state is State.HALF_OPEN:
                    self._judge_probe(failed=False, cause="", now=now)

    # -- Changing state, under the lock ----------------------------------------------------------

    def _trip(self, cause: str, now: float) -> None:
        policy = self.policy
        grown = policy.timeout_duration * policy.open_backoff_factor ** min(self._trips, 64)
        longest = max(policy.timeout_duration, policy.open_duration_max)
        duration = min(grown, longest) * (1.0 - policy.open_jitter * self._random())
        self._trips += 1
        self._open_until = now + duration
        self._go(State.OPEN, cause, now)

    def _go(self, after: State, cause: str, now: float, reset: bool = False) -> None:
        if not reset:
            check_transition(self._state, after)
        shown, figures = self.state, self._figures()
        self._state = after
        self._probes = set()
        self._probe_successes = 0
        self._consecutive = 0
        if after is not State.OPEN:
            self._open_until = inf
        self._window = make_window(self.policy, now)
        self._new_generation(now)
        self._announce(shown, cause, figures, now)

    def _announce(self, before: State, cause: str, figures: WindowFigures, now: float) -> None:
        """Tell listeners and the agent, if the state in force has changed."""
        if self.state is before:
            return
        self._since, self._cause = now, cause
        record = TransitionRecord(
            next(self._transition_ids),
            self.name,
            now,
            self._clock.wall(),
            before,
            self.state,
            cause,
            figures,
        )
        self._kept.append(record)
        if self._listeners:
            self._undelivered.append(record)

    def _new_generation(self, now: float) -> None:
        """Outcomes of calls that began before this moment no longer move the state."""
        override = self._override
        if override is None:
            passes = self._state is State.CLOSED
        else:
            passes = override.state is not State.FORCED_OPEN
        if not passes:
            self._entry = None
            return
        slow = self.policy.slow_call_duration
        plain_below = -1.0 if self._is_failure else (inf if slow is None else slow)
        self._entry = Entry(plain_below, self._edge(), self._batch())

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
        """Hand transitions to the listeners: in order, outside the lock, one thread at a time."""
        while self._undelivered and self._delivery.acquire(blocking=False):
            try:
                while self._undelivered:
                    record = self._undelivered.popleft()
                    for listener in tuple(self._listeners):
                        wrapping.notify(listener, record)
            finally:
                self._delivery.release()

    # -- The operator's side ---------------------------------------------------------------------

    def set_override(
        self, state: State | str | None, expires_in_s: float | None = None, id: str = ""
    ) -> None:
        """Force the breaker to a state on top of the automatic one, or lift that (None).

        Lifting `forced_open` goes to half-open, never straight to full traffic; lifting the others
        returns to the automatic state with a fresh window. The expiry counts on this process's
        monotonic clock.

        Raises:
            ValueError: no such override, or an expiry that is not above 0.
        """
        if state is not None:
            state = as_override(state)
        if expires_in_s is not None and not expires_in_s > 0:
            raise ValueError(f"expires_in_s is {expires_in_s!r}; it must be above 0")
        now = self._now()
        with self._lock:
            self._settle(now)
            if state is not None:
                until = inf if expires_in_s is None else now + expires_in_s
                before, figures = self.state, self._figures()
                if self._entry is not None:
                    self._fold(self._entry, now)
                self._override = Override(state, until, id)
                self._new_generation(now)
                self._announce(before, "forced by an operator", figures, now)
            elif self._override is not None:
                self._lift("released by an operator", now)
        self._deliver()

    def _lift(self, cause: str, now: float) -> None:
        lifted, before, figures = self._override, self.state, self._figures()
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

    def reset(self) -> None:
        """Close the breaker with a fresh window; an override stays on top."""
        now = self._now()
        with self._lock:
            self._settle(now)
            self._trips = 0
            self._go(State.CLOSED, "reset", now, reset=True)
        self._deliver()

    def declare(self, **fields: object) -> None:
        """Add what code says elsewhere about this breaker's calls, such as their timeout."""
        if all(getattr(self.declared, name, None) == value for name, value in fields.items()):
            return
        with self._lock:
            declared = self.declared.replace(fields)
            if declared != self.declared:
                self.declared = declared
                self._adopt(declared.replace(self._remote))

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
            self._remote = dict(fields)
            if policy != self.policy:
                self._adopt(policy)

    def _adopt(self, policy: Policy) -> None:
        now = self._now()
        self._settle(now)
        before, self.policy = self.policy, policy
        self.policy_version += 1
        if (before.window_type, before.window_size) != (policy.window_type, policy.window_size):
            self._window = make_window(policy, now)
        if self._entry is not None:
            self._new_generation(now)

    # -- Looking ---------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The state in force, an override included."""
        return self._state if self._override is None else self._override.state

    @property
    def automatic_state(self) -> State:
        """The state under any override."""
        return self._state

    def snapshot(self) -> Snapshot:
        """The breaker at this moment. An open one whose time is over is half-open from here on,
        so that it recovers on screen without traffic."""
        now = self._now()
        with self._lock:
            self._settle(now)
            self._fold_rejects()
            forced = self._override is not None
            waits = self._state is State.OPEN and not forced
            shot = Snapshot(
                name=self.name,
                state=self.state,
                automatic_state=self._state,
                override=self._override,
                would_be_open=forced and self._state is not State.CLOSED,
                since_s=now - self._since,
                cause=self._cause,
                retry_after_s=self._open_until - now if waits else None,
                in_flight=max(0, self._in_flight),
                window=self._figures(),
                counts={name: self._totals[name] + n for name, n in self._counts.items()},
            )
        self._deliver()
        return shot

    def drain(self) -> Drained:
        """Everything since the last drain, for the agent."""
        now = self._now()
        with self._lock:
            self._settle(now)
            self._fold_rejects()
            counts, sketch = self._counts, self._histogram
            for name, n in counts.items():
                self._totals[name] += n
            self._counts = dict.fromkeys(OUTCOMES, 0)
            self._histogram = Histogram()
            transitions = tuple(self._kept)
            self._kept.clear()
        self._deliver()
        return Drained(
            {name: n for name, n in counts.items() if n}, sketch.buckets, sketch.sum_s, transitions
        )

    def count(self, event: str, n: int = 1) -> None:
        """Count an event of the caller around the breaker: retry, fallback, cache_hit, cache_miss,
        bulkhead_full.

        Raises:
            ValueError: there is no such event.
        """
        if event not in self._counts or event in _RAN:
            raise ValueError(f"{event!r} is no event of a caller")
        with self._lock:
            self._counts[event] += n

    def add_listener(self, listener: Listener) -> None:
        """Call `listener` with each transition, in order, outside the lock; errors are logged."""
        self._listeners.append(listener)

    def remove_listener(self, listener: Listener) -> None:
        """Stop calling `listener`."""
        self._listeners.remove(listener)

    def __repr__(self) -> str:
        return f"<CircuitBreaker {self.name!r} {self.state}>"


_Held = tuple[CircuitBreaker, Entry, float, Any]
_entered: ContextVar[_Held | None] = ContextVar("breakers_entered", default=None)
_live: weakref.WeakSet[CircuitBreaker] = weakref.WeakSet()


def _after_fork() -> None:
    """The child is its own instance: it starts with its parent's state and nobody's counts."""
    default_registry._after_fork()
    for breaker in list(_live):
        until = breaker._open_until
        breaker._begin_life(breaker._state)
        breaker._open_until = until


os.register_at_fork(after_in_child=_after_fork)
