"""Outages: a breaker's time from its first trip until no instance is open or half-open.

A breaker whose dependency stays down opens, lets test calls through, and opens again, on each of
its instances. All of that is one outage. Its beginning and its first cause are kept while the
state changes; test calls that failed are counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from dashboard.fleet.frame_types import OutageView

TROUBLE: Final = frozenset({"open", "half_open"})
# A breaker that opens again this soon after it recovered continues its last outage.
RESUME_WITHIN_S: Final = 60.0
# An instance that is not heard of for so long does not keep an outage going.
GONE_AFTER_S: Final = 600.0
# A state that contradicts a transition counts after this: reports may overtake one another.
_SETTLE_S: Final = 10.0
# Names of open instances that are stored, for the worker that takes over.
_STORED_INSTANCES: Final = 1000

RECOVERED: Final = "recovered"
OVERRIDDEN: Final = "overridden"
GONE: Final = "gone"


@dataclass(frozen=True, slots=True)
class OutageRow:
    """An outage as it is stored. Times are Unix seconds; `ended` is None while it lasts.

    `instance` tripped first. `instances` is how many were affected, `open_at` the names of those
    that still are, each with the time of its last change.
    """

    id: str
    service: str
    breaker: str
    began: float
    cause: str
    instance: str
    instances: int
    failed_tests: int
    passed_tests: int
    refused: int
    ended: float | None
    ended_as: str
    open_at: dict[str, float]


@dataclass(slots=True)
class Outage:
    """An outage in memory."""

    id: str
    service: str
    breaker: str
    began: float
    cause: str
    instance: str
    touched: float
    failed_tests: int = 0
    passed_tests: int = 0
    refused: int = 0
    ended: float | None = None
    ended_as: str = ""
    open_at: dict[str, float] = field(default_factory=dict)
    left_at: dict[str, float] = field(default_factory=dict)
    affected: int = 0

    def row(self) -> OutageRow:
        """The outage as it is stored."""
        return OutageRow(
            id=self.id,
            service=self.service,
            breaker=self.breaker,
            began=self.began,
            cause=self.cause,
            instance=self.instance,
            instances=self.affected,
            failed_tests=self.failed_tests,
            passed_tests=self.passed_tests,
            refused=self.refused,
            ended=self.ended,
            ended_as=self.ended_as,
            open_at=dict(list(self.open_at.items())[:_STORED_INSTANCES]),
        )

    def view(self) -> OutageView:
        """The outage as a frame carries it."""
        return {
            "id": self.id,
            "began": round(self.began, 1),
            "cause": self.cause,
            "instance": self.instance,
            "instances": self.affected,
            "failed_tests": self.failed_tests,
            "passed_tests": self.passed_tests,
            "refused": self.refused,
        }


class Outages:
    """The outages of one service, at most one for each breaker."""

    __slots__ = ("_changed", "_service", "by_breaker")

    def __init__(self, service: str) -> None:
        self._service = service
        self.by_breaker: dict[str, Outage] = {}
        self._changed: dict[str, Outage] = {}

    def current(self, breaker: str) -> Outage | None:
        """The outage that a breaker is in now."""
        outage = self.by_breaker.get(breaker)
        return outage if outage is not None and outage.ended is None else None

    def restore(self, row: OutageRow, now: float) -> None:
        """Continue an outage that another worker stored."""
        self.by_breaker[row.breaker] = Outage(
            id=row.id,
            service=row.service,
            breaker=row.breaker,
            began=row.began,
            cause=row.cause,
            instance=row.instance,
            touched=now,
            failed_tests=row.failed_tests,
            passed_tests=row.passed_tests,
            refused=row.refused,
            ended=row.ended,
            ended_as=row.ended_as,
            open_at=dict(row.open_at),
            affected=row.instances,
        )

    def transition(
        self,
        breaker: str,
        instance: str,
        at: float,
        change: tuple[str, str],
        cause: str,
        now: float,
    ) -> None:
        """Apply a change of state, `(before, after)`, that happened at Unix time `at`."""
        before, after = change
        if after == "open":
            outage = self._join(breaker, instance, at, cause, now)
            if before == "half_open":
                outage.failed_tests += 1
        elif after not in TROUBLE:
            self._leave(breaker, instance, at, RECOVERED if after == "closed" else OVERRIDDEN, now)

    def observe(
        self, breaker: str, instance: str, state: str, since_at: float, cause: str, now: float
    ) -> None:
        """Apply a reported state. It matters only where its transition was not reported."""
        if state == "open":
            outage = self.current(breaker)
            if outage is None or instance not in outage.open_at:
                self._join(breaker, instance, since_at, cause, now)
        elif state not in TROUBLE:
            how = RECOVERED if state == "closed" else OVERRIDDEN
            self._leave(breaker, instance, since_at, how, now)

    def count(self, breaker: str, passed: int, refused: int) -> None:
        """Add test calls that passed and calls that were refused during an outage."""
        outage = self.current(breaker)
        if outage is not None and (passed or refused):
            outage.passed_tests += passed
            outage.refused += refused
            self._changed[outage.id] = outage

    def advance(self, now: float, state_of: Callable[[str, str], str | None]) -> list[str]:
        """Drop instances that are gone or contradict the outage, and outages that ended a while
        ago. `state_of(instance, breaker)` is None for an instance that is not there. Returns the
        breakers whose outage ended."""
        over: list[str] = []
        for name, outage in list(self.by_breaker.items()):
            if outage.ended is not None:
                kept_s = GONE_AFTER_S if outage.ended_as == OVERRIDDEN else RESUME_WITHIN_S
                if now - outage.touched > kept_s:
                    del self.by_breaker[name]
                continue
            if now - outage.touched <= _SETTLE_S:
                continue
            for instance in list(outage.open_at):
                state = state_of(instance, name)
                if state is None:
                    if now - outage.touched > GONE_AFTER_S:
                        self._leave(name, instance, now, GONE, now)
                elif state not in TROUBLE:
                    how = RECOVERED if state == "closed" else OVERRIDDEN
                    self._leave(name, instance, now, how, now)
            if not outage.open_at and outage.ended is None:
                self._end(outage, now, GONE, now)
            if outage.ended is not None:
                over.append(name)
        return over

    def take_changed(self) -> list[OutageRow]:
        """What is to be stored since the last call."""
        changed, self._changed = self._changed, {}
        return [each.row() for each in changed.values()]

    def _join(self, breaker: str, instance: str, at: float, cause: str, now: float) -> Outage:
        outage = self.by_breaker.get(breaker)
        if outage is None or not _continues(outage, at):
            outage = Outage(
                id=_id(self._service, breaker, instance, at),
                service=self._service,
                breaker=breaker,
                began=at,
                cause=cause,
                instance=instance,
                touched=now,
            )
            self.by_breaker[breaker] = outage
        elif at < outage.began:
            outage.began, outage.cause, outage.instance = at, cause, instance
        if at >= outage.left_at.get(instance, 0.0):
            if instance not in outage.open_at and instance not in outage.left_at:
                outage.affected += 1
            outage.open_at[instance] = max(at, outage.open_at.get(instance, 0.0))
            outage.ended, outage.ended_as = None, ""
        outage.touched = now
        self._changed[outage.id] = outage
        return outage

    def _leave(self, breaker: str, instance: str, at: float, how: str, now: float) -> None:
        outage = self.by_breaker.get(breaker)
        if outage is None or at < outage.open_at.get(instance, float("inf")):
            return
        del outage.open_at[instance]
        outage.left_at[instance] = at
        if not outage.open_at:
            self._end(outage, at, how, now)

    def _end(self, outage: Outage, at: float, how: str, now: float) -> None:
        outage.ended, outage.ended_as, outage.touched = at, how, now
        self._changed[outage.id] = outage


def _continues(outage: Outage, at: float) -> bool:
    """Whether a trip belongs to an outage that is known."""
    if outage.ended is None or outage.ended_as == OVERRIDDEN:
        return True
    return at - outage.ended <= RESUME_WITHIN_S


def _id(service: str, breaker: str, instance: str, at: float) -> str:
    """The same for the same trip, so that a report that is read again makes no second row."""
    parts = "\0".join((service, breaker, instance, f"{at:.3f}"))
    return blake2b(parts.encode(), digest_size=12).hexdigest()
