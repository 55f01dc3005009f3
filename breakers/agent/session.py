"""What is said to the dashboard and what is made of its answers, over one link after another.

No thread, no socket and no waiting in here: `runner` has those.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import msgspec

from breakers.agent.active_probes import ActiveProbes
from breakers.agent.applier import Applier
from breakers.agent.collector import Collector
from breakers.agent.config import MAX_INTERVAL_S, MIN_INTERVAL_S
from breakers.agent.links import Link, LinkLost
from breakers.agent.outbox import Outbox, Sealed
from breakers.agent.over_capacity import OverCapacity
from breakers.agent.recordings import Recordings, Speaker
from breakers.agent.rejected_reports import RejectedReports
from breakers.agent.status import AgentCounters
from breakers.protocol import messages as wire

logger = logging.getLogger("breakers.agent")

# The dashboard stores within a second or two. One that takes reports and confirms none for so long
# is asked anew, over a fresh connection.
_RECEIPT_WITHIN_S: Final = 60.0
_ITEMS_AN_ACK: Final = 1000
# Over HTTP a report is under way for about as long as an interval lasts: who falls behind would
# stay behind, so what has piled up goes together.
_TOGETHER_S: Final = 60.0


class Conversation:
    """Reports each interval, repeats what was not confirmed, applies what is desired.

    Revisions: on one link a desired state older than the one in force is a late one and ignored.
    The first one on a fresh link always wins, lower or not: the dashboard's database may have been
    replaced, and the dashboard that answers now is the one to obey. An HTTP link counts as fresh
    each time the agent turns back to it, at least once a minute.
    """

    def __init__(
        self,
        speaker: Speaker,
        collector: Collector,
        outbox: Outbox,
        applier: Applier,
        counters: AgentCounters,
        now: Callable[[], float],
        interval_s: float = 1.0,
        keep: Callable[[wire.Desired], None] | None = None,
    ) -> None:
        self.speaker = speaker
        self.collector = collector
        self.outbox = outbox
        self.applier = applier
        self.counters = counters
        self.interval_s = interval_s
        self._now = now
        self._keep = keep
        self._rejected = RejectedReports(outbox, counters)
        self._over_capacity = OverCapacity(speaker.service, counters, now)
        self._probes = ActiveProbes(collector.breakers)
        self._recordings = Recordings(speaker, collector.breakers, now, applier.records)
        self._link: Link | None = None
        self._heard_desired = False
        self._owed: list[wire.AckItem] | None = None
        self._is_leaving = False
        self.has_children = False
        self._due = now() + interval_s
        self._last_collected = now()

    # -- The link --------------------------------------------------------------------------------

    def begin(self, link: Link) -> None:
        """Speak over this link from now on: all that is unconfirmed, then everything as it is.

        Raises:
            LinkLost: it is gone already.
        """
        self._link = link
        self._heard_desired = False
        self.outbox.rewind()
        self._rejected.begin()
        self.collector.tell_all_again()
        self._collect()
        self._pump()

    def end(self) -> None:
        """The link is gone; go on collecting."""
        self._link = None

    # -- Time ------------------------------------------------------------------------------------

    def due_in(self) -> float:
        """Seconds until `tick` has something to do."""
        return max(0.0, self._due - self._now())

    def tick(self) -> None:
        """Report if it is time to; harmless to call early.

        Raises:
            LinkLost: sending failed.
        """
        if self._now() < self._due:
            return
        self._collect()
        if self._link is not None:
            self._say_late_items()
            self._check_receipts()
            self._pump()
            self._send_recordings()

    def flush(self) -> None:
        """Report a last time, and say that this process ends.

        Raises:
            LinkLost: sending failed.
        """
        self._is_leaving = True
        self._collect()
        self._pump()
        self._send_recordings()

    def _collect(self) -> None:
        self.outbox.add(self.collector.collect())
        self._recordings.collect()
        self._probes.look()
        now = self._now()
        self._last_collected = now
        # From the grid, so that reports keep their pace; from now, if we were held up for long.
        self._due = max(self._due + self.interval_s, now + MIN_INTERVAL_S)
        self._due = min(self._due, now + self.interval_s)

    def _hasten(self) -> None:
        """Report soon: the page should see what has just changed."""
        self._due = min(self._due, max(self._now(), self._last_collected + MIN_INTERVAL_S))

    def _check_receipts(self) -> None:
        under_way = self.outbox.under_way()
        sent_at = under_way[0].sent_at if under_way else None
        if sent_at is not None and self._now() - sent_at > _RECEIPT_WITHIN_S:
            raise LinkLost(f"no report was confirmed for {_RECEIPT_WITHIN_S:.0f} s")

    # -- Speaking --------------------------------------------------------------------------------

    def _pump(self) -> None:
        link = self._link
        if link is None:
            return
        window = self._rejected.window(link.window)
        together_s = _TOGETHER_S if link.window == 1 else 0.0
        for sealed in self.outbox.unsent(window, together_s):
            sealed.sent_at = self._now()
            self.counters.reports_sent += 1
            for answer in link.send(self._report(sealed)):
                self._hear(answer)
            # Over HTTP each report waits for its receipt: a backlog must not hold up collecting.
            if link.window == 1 and self._now() >= self._due:
                return

    def _report(self, sealed: Sealed) -> wire.PackedReport:
        piece = sealed.slice
        return wire.PackedReport(
            service=self.speaker.service,
            instance=self._instance(),
            boot=self.speaker.boot,
            seq=sealed.seq,
            interval_s=min(86_400.0, max(0.001, piece.duration)),
            breakers=msgspec.Raw(piece.data),
            age_s=min(1e9, max(0.0, self._now() - piece.end)),
            revision=self.applier.revision,
            leaving=self._is_leaving and self.outbox.is_last(sealed.seq),
        )

    def _send_recordings(self) -> None:
        """Send a few recordings, behind the reports. One that is lost with its link is lost."""
        for recording in self._recordings.take():
            if (link := self._link) is not None:
                for answer in link.send(recording):
                    self._hear(answer)

    def _instance(self) -> wire.Instance:
        """This instance; idle while it has children and no calls, as masters of workers do."""
        if self.has_children and not self.collector.has_counted:
            return msgspec.structs.replace(self.speaker.instance, idle=True)
        return self.speaker.instance

    def _acknowledge(self, items: list[wire.AckItem]) -> None:
        """Answer the desired state in force; later, if reports are sent one by one just now."""
        link = self._link
        if link is None or self._rejected.is_muted(self.applier.revision):
            return
        if not self._rejected.may_acknowledge(self.applier.revision):
            self._owed = [*(self._owed or ()), *items][-wire.MAX_BREAKERS :]
            return
        for i in range(0, max(1, len(items)), _ITEMS_AN_ACK):
            ack = wire.Ack(
                service=self.speaker.service,
                instance=self.speaker.instance.id,
                revision=self.applier.revision,
                items=items[i : i + _ITEMS_AN_ACK],
            )
            for answer in link.send(ack):
                self._hear(answer)

    def _say_late_items(self) -> None:
        late = self.applier.take_late()
        owed, self._owed = self._owed, None
        if owed is not None or late:
            self._acknowledge([*(owed or ()), *late])

    # -- Hearing ---------------------------------------------------------------------------------

    def hear(self, message: wire.FromServer) -> None:
        """Take one message of the dashboard in.

        Raises:
            LinkLost: it refused something, or answering it failed.
        """
        self._hear(message)
        self._pump()

    def _hear(self, message: wire.FromServer) -> None:
        if isinstance(message, wire.Desired):
            self._obey(message)
        elif isinstance(message, wire.Received):
            if message.boot == self.speaker.boot:
                self.counters.reports_safe += self.outbox.received(message.seq)
                self._rejected.progressed()
        else:
            self._rejected.refused(message)
            raise LinkLost(_said(message), code=message.code)

    def _obey(self, desired: wire.Desired) -> None:
        self.interval_s = min(MAX_INTERVAL_S, max(MIN_INTERVAL_S, desired.interval_s))
        self._due = min(self._due, self._now() + self.interval_s)
        self._over_capacity.set_names(desired.over_capacity)
        self._recordings.order(desired.recordings)
        fresh, self._heard_desired = not self._heard_desired, True
        if not fresh and desired.revision <= self.applier.revision:
            return
        self.applier.take_late()
        items = self.applier.take(desired)
        for item in items:
            if item.status == "refused":
                logger.warning("%s of breaker %r refused: %s", item.kind, item.breaker, item.reason)
        self._owed = None
        if self._keep is not None:
            self._keep(msgspec.structs.replace(desired, warm_starts=[], recordings=None, faults=[]))
        self._acknowledge(items)
        self._hasten()


def _said(refused: wire.Refused) -> str:
    where = f" at {refused.field}" if refused.field else ""
    return f"the dashboard refused ({refused.code}{where}): {refused.message[:300]}"
