"""Obeys orders to inject faults, within what the code of the service allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from breakers.agent.obedience import Obedience
from breakers.circuit import faults
from breakers.circuit.records import Fault
from breakers.protocol import messages as wire

if TYPE_CHECKING:
    from breakers.circuit.breaker import CircuitBreaker

WantedFault = tuple[wire.FaultOrder, float]


def faults_for(
    desired: wire.Desired, instance: wire.Instance, now: float
) -> dict[str, WantedFault]:
    """The faults meant for an instance, each with its end on the agent's clock, by breaker; of
    several for one breaker the last counts."""
    return {
        each.breaker: (each, now + min(each.expires_in_s, wire.MAX_FAULT_S))
        for each in desired.faults
        if each.instances is None or instance.id in each.instances
    }


class FaultOrders:
    """Puts faults on breakers and takes them off."""

    def __init__(self, obedience: Obedience, now: Callable[[], float]) -> None:
        self._obedience, self._now = obedience, now

    def apply(self, breaker: CircuitBreaker, wanted: WantedFault | None) -> list[wire.AckItem]:
        """Give a breaker the fault that is wanted, or none; what became of the order."""
        if wanted is None:
            if breaker._fault is not None:
                faults.remove(breaker)
            return []
        order, until = wanted
        wrong = self._obedience.refused_fault(breaker.name) or self._wrong(order, until)
        if wrong:
            faults.remove(breaker)
            return [wire.AckItem("fault", breaker.name, "refused", order.id, wrong[:500])]
        if breaker._fault is None or breaker._fault.id != order.id:
            left = until - self._now()
            ends = breaker._now() + left
            made = Fault(order.id, order.kind, order.share, order.latency_s, ends)
            faults.inject(breaker, made)
        return [wire.AckItem("fault", breaker.name, "applied", order.id)]

    def _wrong(self, order: wire.FaultOrder, until: float) -> str:
        if order.kind not in faults.KINDS:
            return f"{order.kind} is no kind of fault; there are {', '.join(faults.KINDS)}"
        return "it was over before it was applied" if until <= self._now() else ""
