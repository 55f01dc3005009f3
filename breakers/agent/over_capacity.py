"""Breakers beyond the dashboard's capacity: logged once, the service goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from math import inf
from typing import Final

from breakers.agent.status import AgentCounters
from breakers.protocol import messages as wire

logger = logging.getLogger("breakers.agent")
# Names with an id in them change all the time: the log is not to fill up with them.
_SAID_EVERY_S: Final = 600.0
_NAMED: Final = 5


class OverCapacity:
    """Keeps the dashboard's latest list, and warns when it changes. Used by the agent's thread
    alone."""

    def __init__(self, service: str, counters: AgentCounters, now: Callable[[], float]) -> None:
        self._service = service
        self._counters = counters
        self._now = now
        self._said: frozenset[str] = frozenset()
        self._said_at = -inf

    def set_names(self, names: Sequence[str]) -> None:
        """These are not watched, as of now."""
        self._counters.over_capacity = tuple(names)
        if names:
            self._warn(frozenset(names))
        else:
            self._said = frozenset()

    def _warn(self, names: frozenset[str]) -> None:
        if names <= self._said or self._now() - self._said_at < _SAID_EVERY_S:
            return
        self._said, self._said_at = names, self._now()
        some = sorted(names)
        named = ", ".join(map(repr, some[:_NAMED]))
        logger.warning(
            "the dashboard has no capacity for %s%d breakers of this process, and neither shows "
            "nor counts what happens at them: %s%s. %r has as many as it watches of one service. "
            "They work as before",
            "at least " if len(names) == wire.MAX_OVER_CAPACITY else "",
            len(names),
            named,
            ", …" if len(some) > _NAMED else "",
            self._service,
        )
