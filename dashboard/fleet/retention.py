"""What a worker remembers of incarnations, services and breakers that are gone, and for how long.

An incarnation that has been silent for an hour may still send a report again, so its cursor stays
in memory as long as in the database; a task drops it there after a week. Pure, like the state.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dashboard.fleet.checkpoint_batch import CursorKey
from dashboard.fleet.model import ServiceModel

_LAST_KEPT_S: Final = 86_400.0


def incarnations(services: Iterable[ServiceModel]) -> set[CursorKey]:
    """Every incarnation whose reports are numbered."""
    return {(each.name, *incarnation) for each in services for incarnation in each.cursors}


def reported(services: Iterable[ServiceModel]) -> dict[str, list[str]]:
    """The breakers that some instance of each service reports."""
    return {each.name: sorted(each.known_breakers()) for each in services}


def forget(services: dict[str, ServiceModel], gone: Iterable[CursorKey], at: float) -> None:
    """Forget these incarnations, the last transitions of breakers that were not reported for
    a day, and services of which nothing is left."""
    for name, instance, boot in gone:
        if (service := services.get(name)) is not None:
            service.cursors.pop((instance, boot), None)
            service.gaps.pop((instance, boot), None)
    for name, service in list(services.items()):
        service.last = {
            breaker: each
            for breaker, each in service.last.items()
            if breaker in service.breakers or each["at"] > at - _LAST_KEPT_S
        }
        if not (service.cursors or service.instances or service.breakers):
            del services[name]
