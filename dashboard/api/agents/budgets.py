"""Budgets of each service: what its agents may send, so that no service slows the others down.

A message is charged before it is decoded (bytes) and before it is appended (breakers, history rows,
incarnations, transitions). While a service owes for what it sent, its own connections wait; after
`PATIENCE_S`, or when too much waits, the message is refused with code `over_budget`. The agent
merges what it could not send, so no count is lost.

Budgets are of one process: a dashboard with four web processes accepts up to four times as much.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from breakers.protocol import messages as wire
from dashboard.api.agents.error_replies import refusal
from dashboard.common.budget_figures import BudgetFigure
from dashboard.common.token_bucket import TokenBuckets
from dashboard.history.levels import buckets_for
from dashboard.observability.metrics import counters

PATIENCE_S: Final = 5.0
# Messages of a service that wait undecoded, in all its connections.
_MOST_WAITING_BYTES: Final = 16 * 2**20
_INCARNATIONS_KEPT: Final = 20_000
_BUCKET_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Limit:
    """What a service may send: a rate, and a burst that a recovering service needs."""

    field: str
    unit: str
    per_s: float
    burst: float


BYTES: Final = "bytes"
BREAKERS: Final = "breakers"
ROWS: Final = "rows"
BOOTS: Final = "boots"
TRANSITIONS: Final = "transitions"
RECORDED: Final = "recorded"

LIMITS: Final = {
    BYTES: Limit("$", "bytes of messages", 32 * 2**20, 64 * 2**20),
    BREAKERS: Limit("$.breakers", "breakers in reports", 50_000, 200_000),
    # A report of a long time becomes several rows for each breaker. A checkpoint stores ten
    # thousand within a second, and every service waits for it.
    ROWS: Limit("$.interval_s", "rows of history", 1_500, 10_000),
    # 8,640 a day, and two starts of every process of the largest service at once.
    BOOTS: Limit("$.boot", "starts of processes", 0.1, 10_000),
    TRANSITIONS: Limit("$.breakers", "changes of state", 500, 20_000),
    RECORDED: Limit("$.offset_us", "recorded calls", 10_000, 400_000),
}


_K = TypeVar("_K")


def _use(kept: OrderedDict[_K, None], key: _K) -> None:
    kept[key] = None
    kept.move_to_end(key)
    if len(kept) > _INCARNATIONS_KEPT:
        kept.popitem(last=False)


class ServiceBudgets:
    """Charges messages to services."""

    def __init__(
        self,
        limits: dict[str, Limit] = LIMITS,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._limits = limits
        self._now = now
        self._sleep = sleep
        self._buckets = {
            name: TokenBuckets(limit.per_s, limit.burst, now=now) for name, limit in limits.items()
        }
        self._incarnations: dict[str, OrderedDict[tuple[str, str], None]] = {}
        self._instances: dict[str, OrderedDict[str, None]] = {}
        self._waiting: dict[str, int] = {}

    async def charge_bytes(self, service: str, size: int) -> None:
        """Charge a message before it is decoded; wait while the service owes.

        Raises:
            WireError: with code `over_budget`.
        """
        if self._buckets[BYTES].take(service, size):
            return
        await self._wait(service, size, {BYTES: float(size)})

    async def charge(self, service: str, report: wire.Report, size: int) -> None:
        """Charge a decoded report.

        Raises:
            WireError: with code `over_budget`.
        """
        costs = self._costs(service, report)
        if not self._owed(service, costs):
            self._take(service, costs)
        else:
            await self._wait(service, size, costs)
        self._remember(service, report)

    def figures(self, service: str) -> list[BudgetFigure]:
        """How much of each budget a service has used just now, in this process."""
        return [
            BudgetFigure(
                limit.unit,
                max(0.0, limit.burst - self._buckets[name].level(service)),
                limit.burst,
                limit.per_s,
                counters.over_budget[service, name],
            )
            for name, limit in self._limits.items()
        ]

    def admits_recording(self, service: str, calls: int) -> bool:
        """Charge a recording; whether it is kept. Reports must not wait for recordings, so one that
        is over the budget is dropped and counted."""
        budget = self._buckets[RECORDED]
        if budget.level(service) <= 0:
            counters.over_budget[service, RECORDED] += 1
            return False
        budget.take(service, float(calls))
        return True

    def _costs(self, service: str, report: wire.Report) -> dict[str, float]:
        costs: dict[str, float] = {BREAKERS: float(max(1, len(report.breakers)))}
        if report.interval_s > _BUCKET_S:
            costs[ROWS] = float(buckets_for(report.interval_s) * len(report.breakers))
        if (report.instance.id, report.boot) not in self._incarnations.get(service, ()):
            costs[BOOTS] = 1.0
        transitions = sum([len(each.transitions) for each in report.breakers])
        if transitions:
            costs[TRANSITIONS] = float(transitions)
        return costs

    def _remember(self, service: str, report: wire.Report) -> None:
        incarnations = self._incarnations.setdefault(service, OrderedDict())
        _use(incarnations, (report.instance.id, report.boot))
        _use(self._instances.setdefault(service, OrderedDict()), report.instance.id)

    def knows(self, service: str, instance: str) -> bool:
        """Whether this instance has reported to this process."""
        return instance in self._instances.get(service, ())

    def _owed(self, service: str, costs: dict[str, float]) -> str | None:
        """The first budget that is used up."""
        for name in costs:
            if self._buckets[name].level(service) <= 0:
                return name
        return None

    def _take(self, service: str, costs: dict[str, float]) -> None:
        for name, cost in costs.items():
            self._buckets[name].take(service, cost)

    async def _wait(self, service: str, size: int, costs: dict[str, float]) -> None:
        name = self._owed(service, costs)
        waiting = self._waiting.get(service, 0)
        until = self._now() + PATIENCE_S
        if waiting + size > _MOST_WAITING_BYTES:
            raise self._refused(service, name or BYTES)
        self._waiting[service] = waiting + size
        try:
            while (name := self._owed(service, costs)) is not None:
                left = until - self._now()
                wait_s = self._buckets[name].wait_s(service)
                if left <= 0 or wait_s > left:
                    raise self._refused(service, name)
                await self._sleep(max(0.01, wait_s))
            self._take(service, costs)
        finally:
            self._waiting[service] -= size
            if not self._waiting[service]:
                del self._waiting[service]

    def _refused(self, service: str, name: str) -> wire.WireError:
        counters.over_budget[service, name] += 1
        limit = self._limits[name]
        return wire.WireError(
            refusal(
                "over_budget",
                f"{service!r} may send {limit.per_s:g} {limit.unit} a second, and {limit.burst:g} "
                f"at once; it has sent more. Send this again in {PATIENCE_S:g} s",
                limit.field,
            )
        )
