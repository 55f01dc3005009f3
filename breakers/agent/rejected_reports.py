"""A report that the dashboard will never take must not hold up those behind it.

A refusal seldom says which message it meant, and many may be under way. So after one the agent
sends, on the next connection, what was under way one report at a time, each when the one before is
safe: the next refusal then has but one it can mean. That report is given up, and what it counted is
counted as dropped and logged. If all of them pass, it was the acknowledgement that was refused: it
is not sent again for that revision. Refusals of the speaker, not of the message (a wrong token,
an unknown version, too busy), drop nothing: whatever the cause, it can be put right on their side.
"""

from __future__ import annotations

import logging
from typing import Final

from breakers.agent.outbox import Outbox
from breakers.agent.status import AgentCounters
from breakers.protocol import messages as wire

logger = logging.getLogger("breakers.agent")
_OF_THE_MESSAGE: Final = frozenset({"invalid", "malformed", "too_large"})
_RAN: Final = ("success", "failure", "timeout", "ignored", "rejected")


class RejectedReports:
    """Finds out what was refused and gives that up. Used by the agent's thread alone."""

    def __init__(self, outbox: Outbox, counters: AgentCounters) -> None:
        self._outbox = outbox
        self._counters = counters
        self._one_by_one_until = 0
        self._reports_passed = False
        self._acknowledged: int | None = None
        self._muted: int | None = None

    def begin(self) -> None:
        """A new link."""
        self._acknowledged = None

    def window(self, usual: int) -> int:
        """How many reports may be under way."""
        return 1 if self._one_by_one_until else usual

    def is_muted(self, revision: int) -> bool:
        """Whether the dashboard refuses the acknowledgement of that revision."""
        return revision == self._muted

    def may_acknowledge(self, revision: int) -> bool:
        """Whether an acknowledgement may be sent; if so, it is taken as sent."""
        if self._one_by_one_until:
            return False
        self._acknowledged = revision
        return True

    def progressed(self) -> None:
        """Reports have become safe."""
        left = self._outbox.first_seq
        if self._one_by_one_until and (left is None or left > self._one_by_one_until):
            self._one_by_one_until = 0
            self._reports_passed = True

    def refused(self, refusal: wire.Refused) -> None:
        """Something was refused."""
        if refusal.code not in _OF_THE_MESSAGE:
            return
        under_way = [each.seq for each in self._outbox.under_way()]
        if refusal.seq in under_way:
            self._give_up(refusal.seq, refusal)
        elif len(under_way) == 1 and self._acknowledged is None:
            self._give_up(under_way[0], refusal)
        elif under_way and not (self._reports_passed and self._acknowledged is not None):
            self._one_by_one_until = under_way[-1]
        elif self._acknowledged is not None:
            self._reports_passed = False
            self._muted = self._acknowledged
            logger.error(
                "the dashboard refuses the acknowledgement of revision %d (%s); "
                "it is in force here nevertheless",
                self._acknowledged,
                refusal.message[:300],
            )

    def _give_up(self, seq: int, refusal: wire.Refused) -> None:
        lost = self._outbox.drop(seq)
        if lost is None:
            return
        calls = sum(getattr(each.counts, name) for each in lost.breakers() for name in _RAN)
        self._counters.reports_dropped += 1
        self._counters.calls_dropped += calls
        self._reports_passed = False
        logger.error(
            "the dashboard refuses report %d for good (%s %s); %d calls in it are not counted",
            seq,
            refusal.field,
            refusal.message[:300],
            calls,
        )
        if seq >= self._one_by_one_until:
            self._one_by_one_until = 0
