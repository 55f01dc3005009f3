"""Turns the desired state into the state of this process's breakers.

Level-triggered: each `Desired` is the whole truth, applied to every breaker anew; applying the
same one twice changes nothing. What it does not name is lifted, if the agent had put it there:
overrides that code set by itself carry no id and are left alone unless an operator's takes their
place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from breakers.agent.fault_orders import FaultOrders, WantedFault, faults_for
from breakers.agent.obedience import Obedience
from breakers.errors import PolicyError
from breakers.protocol import messages as wire
from breakers.protocol.ageing import aged, remaining_s

if TYPE_CHECKING:
    from breakers.circuit.breaker import CircuitBreaker
    from breakers.circuit.records import Override

# An expiry that differs by less is the same one, seen through the network's delay.
_SAME_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class WantedOverride:
    """An override meant for this instance; `until` is on the agent's monotonic clock."""

    id: str
    state: str
    until: float
    share: float | None = None


@dataclass(frozen=True)
class Wanted:
    """A desired state as this instance sees it. Immutable: threads exchange it by assignment."""

    desired: wire.Desired
    received_at: float
    overrides: dict[str, WantedOverride] = field(default_factory=dict)
    policies: dict[str, dict[str, object]] = field(default_factory=dict)
    superseded: tuple[wire.AckItem, ...] = ()
    faults: dict[str, WantedFault] = field(default_factory=dict)

    @property
    def revision(self) -> int:
        return self.desired.revision

    def policy(self, breaker: str) -> dict[str, object]:
        """The fields that are meant for a breaker."""
        return {**self.policies.get(wire.EVERY_BREAKER, {}), **self.policies.get(breaker, {})}


def meant_for(desired: wire.Desired, instance: wire.Instance, now: float) -> Wanted:
    """What `desired` asks of `instance`. Of several overrides of a breaker the last one counts;
    fields of several policies are laid over each other in their order."""
    wanted = Wanted(desired, now, faults=faults_for(desired, instance, now))
    superseded = []
    for each in desired.overrides:
        if each.instances is not None and instance.id not in each.instances:
            continue
        earlier = wanted.overrides.get(each.breaker)
        if earlier is not None:
            superseded.append(_refused(each.breaker, earlier.id, f"{each.id} takes its place"))
        until = now + remaining_s(each.expires_in_s)
        wanted.overrides[each.breaker] = WantedOverride(each.id, each.state, until, each.share)
    for item in desired.policies:
        named = item.instances is None or instance.id in item.instances
        if named and (item.selector is None or item.selector.includes(instance)):
            wanted.policies.setdefault(item.breaker, {}).update(item.fields)
    object.__setattr__(wanted, "superseded", tuple(superseded))
    return wanted


def _refused(breaker: str, id: str, reason: str) -> wire.AckItem:
    return wire.AckItem("override", breaker, "refused", id, reason[:500])


class Applier:
    """Keeps the breakers as the last desired state wants them, those made later included.

    Breakers are made in the service's own threads, so `created` takes no lock: it looks at the
    wanted state again after applying it, and a new one is applied to all when it is assigned.
    """

    def __init__(
        self,
        breakers: Callable[[], Iterable[CircuitBreaker]],
        instance: wire.Instance,
        now: Callable[[], float],
        obedience: Obedience | None = None,
    ) -> None:
        self._obedience = obedience or Obedience()
        self._faults = FaultOrders(self._obedience, now)
        self._breakers = breakers
        self._instance = instance
        self._now = now
        self._given: dict[str, WantedOverride] = {}
        self._late: deque[wire.AckItem] = deque(maxlen=wire.MAX_BREAKERS)
        # Until when a breaker starts open, and why: those of the fleet are.
        self._warm: dict[str, tuple[float, str]] = {}
        self.wanted: Wanted | None = None

    @property
    def records(self) -> bool:
        """Whether this process records calls when it is asked to."""
        return self._obedience.records

    @property
    def revision(self) -> int:
        """The desired state that is in force here; 0 before the first."""
        return self.wanted.revision if self.wanted is not None else 0

    def take(self, desired: wire.Desired, received_at: float | None = None) -> list[wire.AckItem]:
        """Put a desired state in force; what became of each item that this process can apply.

        Items for breakers that do not exist yet wait for them and are returned by `take_late`.
        """
        at = self._now() if received_at is None else received_at
        wanted = self.wanted = meant_for(desired, self._instance, at)
        self._given = {
            name: given for name, given in self._given.items() if name in wanted.overrides
        }
        if desired.warm_starts and self._obedience.warm_starts:
            self._warm = {
                each.breaker: (at + each.open_s, each.reason) for each in desired.warm_starts
            }
        items = list(wanted.superseded)
        for breaker in self._breakers():
            items += self._apply(wanted, breaker)
            self._start_warm(breaker)
        return items

    def created(self, breaker: CircuitBreaker) -> None:
        """A breaker has come to be: it begins as the dashboard wants it."""
        while (wanted := self.wanted) is not None:
            items = self._apply(wanted, breaker)
            if wanted is self.wanted:
                self._late.extend(items)
                self._start_warm(breaker)
                return

    def _start_warm(self, breaker: CircuitBreaker) -> None:
        """Open a breaker that is open at the other instances, unless it knows better."""
        until, reason = self._warm.pop(breaker.name, (0.0, ""))
        left = until - self._now()
        is_closed = breaker.automatic_state == "closed" and breaker.snapshot().override is None
        if left > 0 and is_closed:
            breaker.trip(f"{wire.WARM_START}: {reason}", left)

    def remaining(self) -> wire.Desired | None:
        """The desired state in force, its expiries counted from now: for a child after fork."""
        wanted = self.wanted
        if wanted is None:
            return None
        return aged(wanted.desired, self._now() - wanted.received_at)

    def take_late(self) -> list[wire.AckItem]:
        """What became of items at breakers made since the last call."""
        return [self._late.popleft() for _ in range(len(self._late))]

    def _apply(self, wanted: Wanted, breaker: CircuitBreaker) -> list[wire.AckItem]:
        items = []
        policy = wanted.policy(breaker.name)
        if policy or breaker.remote:
            items += self._apply_policy(breaker, policy)
        items += self._apply_override(breaker, wanted.overrides.get(breaker.name))
        items += self._faults.apply(breaker, wanted.faults.get(breaker.name))
        return items

    def _apply_policy(
        self, breaker: CircuitBreaker, fields: dict[str, object]
    ) -> list[wire.AckItem]:
        status, reason = "applied", ""
        try:
            if wrong := self._obedience.refused_policy(fields, breaker.declared):
                status, reason = "refused", wrong[:500]
            elif dict(breaker.remote) != fields:
                breaker.apply_policy(fields)
        except PolicyError as error:
            status, reason = "refused", str(error)[:500]
        except Exception as error:  # whatever the wire let through must not stop the other items
            status, reason = "refused", repr(error)[:500]
        return [wire.AckItem("policy", breaker.name, status, "", reason)] if fields else []

    def _apply_override(
        self, breaker: CircuitBreaker, want: WantedOverride | None
    ) -> list[wire.AckItem]:
        in_force = breaker.snapshot().override
        if want is None:
            self._given.pop(breaker.name, None)
            if in_force is not None and in_force.id:
                breaker.set_override(None)
            return []
        given = self._given.get(breaker.name)
        same = given is not None and (given.id, given.state, given.share) == (
            want.id,
            want.state,
            want.share,
        )
        until_same = same and given is not None and _about(given.until, want.until)
        if until_same and (_is(in_force, want) or want.until - self._now() <= _SAME_S):
            # In force, or it has expired here a moment before the dashboard noticed.
            return [wire.AckItem("override", breaker.name, "applied", want.id)]
        return self._force(breaker, want)

    def _force(self, breaker: CircuitBreaker, want: WantedOverride) -> list[wire.AckItem]:
        if wrong := self._obedience.refused_override(want.state):
            self._given.pop(breaker.name, None)
            in_force = breaker.snapshot().override
            if in_force is not None and in_force.id:
                breaker.set_override(None)
            return [_refused(breaker.name, want.id, wrong)]
        left = want.until - self._now()
        if left <= 0:
            return [_refused(breaker.name, want.id, "it expired before it was applied")]
        try:
            breaker.set_override(want.state, left, want.id, want.share)
        except ValueError as error:
            return [_refused(breaker.name, want.id, str(error))]
        self._given[breaker.name] = want
        return [wire.AckItem("override", breaker.name, "applied", want.id)]


def _is(in_force: Override | None, want: WantedOverride) -> bool:
    return in_force is not None and in_force.id == want.id and in_force.state == want.state


def _about(one: float, other: float) -> bool:
    return one == other or abs(one - other) <= _SAME_S
