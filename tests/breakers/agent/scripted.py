"""A link whose other end is the test itself, and a conversation over it on a fake clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from breakers import CircuitBreaker, Registry
from breakers.agent.applier import Applier
from breakers.agent.collector import Collector
from breakers.agent.links import LinkLost
from breakers.agent.outbox import Outbox
from breakers.agent.recordings import Speaker
from breakers.agent.session import Conversation
from breakers.agent.status import AgentCounters
from breakers.protocol import messages as wire
from breakers.testing import FakeClock


class ScriptedLink:
    """Keeps what was sent; fails on demand; may answer as HTTP does."""

    name = "scripted"

    def __init__(self, window: int = 256) -> None:
        self.window = window
        self.sent: list[wire.FromAgent] = []
        self.broken = False
        self.answers: list[wire.FromServer] = []

    def send(self, message: wire.FromAgent) -> Sequence[wire.FromServer]:
        if self.broken:
            raise LinkLost("broken by the test")
        packed = isinstance(message, wire.PackedReport)
        self.sent.append(message.unpacked() if packed else message)
        answers, self.answers = self.answers, []
        return answers

    def close(self) -> None:
        """Nothing to close."""

    def abandon(self) -> None:
        """Nothing to let go of."""

    @property
    def reports(self) -> list[wire.Report]:
        return [each for each in self.sent if isinstance(each, wire.Report)]

    @property
    def acks(self) -> list[wire.Ack]:
        return [each for each in self.sent if isinstance(each, wire.Ack)]


class Talk:
    """A process with breakers, its agent's conversation, and its clock."""

    def __init__(self, instance: str = "web-1", buffer_bytes: int = 1024 * 1024) -> None:
        self.clock = FakeClock()
        self.registry = Registry()
        self.counters = AgentCounters()
        self.outbox = Outbox(buffer_bytes)
        self.applier = Applier(self.registry.all, wire.Instance(instance), self.clock.monotonic)
        self.kept: list[wire.Desired] = []
        self.registry.on_create(self.applier.created)
        self.conversation = Conversation(
            Speaker("shop", wire.Instance(instance), boot="b1"),
            Collector(self.registry.all, self.clock.monotonic),
            self.outbox,
            self.applier,
            self.counters,
            self.clock.monotonic,
            keep=self.kept.append,
        )

    def breaker(self, name: str, **settings: Any) -> CircuitBreaker:
        return CircuitBreaker(name=name, registry=self.registry, clock=self.clock, **settings)

    def connect(self, window: int = 256) -> ScriptedLink:
        link = ScriptedLink(window)
        self.conversation.begin(link)
        return link

    def confirm(self, seq: int) -> None:
        self.conversation.hear(wire.Received("b1", seq))

    def second(self, seconds: float = 1.0) -> None:
        """Let an interval pass."""
        self.clock.advance(seconds)
        self.conversation.tick()


def counted(reports: Sequence[wire.Report], breaker: str, outcome: str = "success") -> int:
    """How often an outcome was told, each report counted once as the dashboard does."""
    once = {report.seq: report for report in reports}
    return sum(
        getattr(each.counts, outcome)
        for report in once.values()
        for each in report.breakers
        if each.name == breaker
    )
