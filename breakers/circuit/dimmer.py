"""Refuses a share of the calls where the state lets calls pass: adaptive throttling, the ramp after
recovery, and an operator's `forced_partial`.

While nothing is refused, calls take the plain path of `breakers.circuit.admission`. While a share
is, each call takes the slow path, where `_permit` draws.
"""

from __future__ import annotations

from math import exp, inf
from typing import Any, Final

from breakers.circuit.admission import Ticket
from breakers.circuit.records import Fault
from breakers.circuit.state_machine import StateMachine
from breakers.circuit.states import State
from breakers.common.uninterruptible import uninterruptible
from breakers.criticality import refused_share

RAMP: Final = (0.05, 0.10, 0.25, 0.50)
_MEMORY_S: Final = 2.0
_QUIET_S: Final = 3 * _MEMORY_S
_MOST_REFUSED: Final = 0.95
_CAUTION: Final = 3.0  # calls: a few failures alone refuse little
# Steps of the golden ratio fall evenly between 0 and 1 at every length, in step with no pattern of
# calls: of n calls an operator's share passes to within a few, where chance would err by sqrt(n).
_GOLDEN: Final = 0.6180339887498949


def checked_share(state: State | None, share: float | None) -> float:
    """The share of an override; `ValueError` where it does not fit the state."""
    if state is not State.FORCED_PARTIAL:
        if share is not None:
            raise ValueError(f"share is {share!r}; only forced_partial has one")
        return 1.0
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise ValueError(f"share is {share!r}; forced_partial needs a number from 0 to 1")
    return float(share)


class Throttle:
    """Client-side throttling: calls let through and calls that succeeded, in a memory of 2 s that
    fades.

    A call is refused with the probability (passed - K * succeeded) / (passed + 3). With K = 2 a
    dependency that fails up to half of its calls is not throttled; beyond that, refusals follow
    the share of failures. At least 5 % pass, to notice recovery.

    The rule is that of "Handling Overload", chapter 21 of Site Reliability Engineering (Beyer et
    al., 2016), but for one thing: there, refused calls count as asked, so that a client that
    refuses much goes on to refuse more; here only what was let through counts.

    >>> throttle = Throttle(2.0, now=0.0, passed=97, succeeded=10)
    >>> round(throttle.refused(), 2)
    0.77
    """

    def __init__(self, k: float, now: float, passed: float = 0.0, succeeded: float = 0.0) -> None:
        self.k = k
        self.passed, self.succeeded = passed, succeeded
        self.failed_at = self._at = now

    def fade(self, now: float) -> None:
        """Let the counts fade by the time since they were looked at last."""
        if now > self._at:
            kept = exp((self._at - now) / _MEMORY_S)
            self.passed *= kept
            self.succeeded *= kept
            self._at = now

    def refused(self) -> float:
        """The share to refuse at present."""
        share = (self.passed - self.k * self.succeeded) / (self.passed + _CAUTION)
        return min(_MOST_REFUSED, max(0.0, share))


@uninterruptible
class Dimmer(StateMachine):
    """A state machine that can refuse a share. Methods expect the lock to be held."""

    def __init__(self, *args: Any) -> None:
        # Injected to rehearse, see `breakers.circuit.faults`.
        self._fault: Fault | None = None
        # Whether callers must look at `_remote` and `_fault` before they call.
        self._altered = False
        super().__init__(*args)

    def _begin_incarnation(self, state: State) -> None:
        self._throttle: Throttle | None = None
        self._ramp_began = -inf
        self._turn: float | None = None
        super()._begin_incarnation(state)

    def _sheds(self) -> bool:
        override = self._override
        if override is not None:
            return override.state is State.FORCED_PARTIAL
        if self._state is not State.CLOSED:
            return False
        return self._throttle is not None or self._ramp_began > -inf

    def _refused_now(self, now: float) -> float:
        """The share of default calls to refuse."""
        override = self._override
        if override is not None:
            return 1.0 - override.share
        refused = 0.0
        length = self.policy.recovery_ramp
        if length is not None and self._ramp_began > -inf:
            step = int((now - self._ramp_began) / length * (len(RAMP) + 1))
            refused = 1.0 - RAMP[step] if step < len(RAMP) else 0.0
        if (throttle := self._throttle) is not None:
            refused = max(refused, throttle.refused())
        return refused

    def _permit(self, now: float) -> Ticket | None:
        current = self._current
        if current is None:
            return super()._permit(now)
        refused = refused_share(self._refused_now(now))
        return None if refused and self._draw() < refused else current

    def _draw(self) -> float:
        """A number from 0 to 1, by chance; evenly spread while an operator holds the share."""
        if self._override is None:
            return self._random()
        turn = self._random() if self._turn is None else self._turn
        self._turn = (turn + _GOLDEN) % 1.0
        return self._turn

    def _judge(self, failed: bool, slow: bool, is_probe: bool, now: float) -> None:
        super()._judge(failed, slow, is_probe, now)
        k, throttle = self.policy.throttle, self._throttle
        if is_probe or k is None or self._state is not State.CLOSED or self._override is not None:
            return
        if throttle is None:
            if not failed:
                return
            # The window knows the calls of before, which took the plain path.
            calls, failures = self._window.calls, self._window.failures
            throttle = self._throttle = Throttle(k, now, calls, calls - failures)
            self._ticket = None
            return
        throttle.passed += 1.0
        if failed:
            throttle.failed_at = now
        else:
            throttle.succeeded += 1.0

    def _fold(self, ticket: Ticket, now: float, judged: bool = True) -> None:
        before = self._counts["success"]
        super()._fold(ticket, now, judged)
        if (throttle := self._throttle) is not None and ticket is self._current:
            throttle.passed += self._counts["success"] - before
            throttle.succeeded += self._counts["success"] - before

    def _settle(self, now: float) -> None:
        super()._settle(now)
        throttle, length = self._throttle, self.policy.recovery_ramp
        if throttle is not None:
            throttle.fade(now)
            k = self.policy.throttle
            is_quiet = now - throttle.failed_at >= _QUIET_S and not throttle.refused()
            if k is None or is_quiet:
                self._throttle = None
            else:
                throttle.k = k
        if self._ramp_began > -inf and (length is None or now >= self._ramp_began + length):
            self._ramp_began = -inf
        if self._ticket is None and self._current is not None and not self._sheds():
            self._ticket = self._current

    def _go(self, after: State, cause: str, now: float, reset: bool = False) -> None:
        recovers = after is State.CLOSED and not reset and self.policy.recovery_ramp is not None
        self._ramp_began = now if recovers else -inf
        self._throttle = None
        super()._go(after, cause, now, reset)
