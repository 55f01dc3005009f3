"""The agent's thread: connects, waits, reconnects. One runner is one boot in one process."""

from __future__ import annotations

import contextlib

# Python imports it when it first looks a host up. In the agent's thread that may be just while
# the service forks, and then the child finds half a module and cannot look up hosts for ever.
import encodings.idna  # noqa: F401
import logging
import os
import queue
import secrets
import socket
import threading
import time
from typing import Final

from breakers.agent.applier import Applier
from breakers.agent.backoff import Backoff
from breakers.agent.collector import Collector
from breakers.agent.config import AgentConfig
from breakers.agent.desired_state_file import DesiredFile
from breakers.agent.http_link import HttpLink
from breakers.agent.links import ADVICE, Link, LinkLost
from breakers.agent.outbox import Outbox
from breakers.agent.recordings import Speaker
from breakers.agent.session import Conversation
from breakers.agent.socket_link import Heard, SocketLink
from breakers.agent.status import AgentCounters, AgentStatus
from breakers.circuit.registry import Registry
from breakers.clock import SYSTEM_CLOCK
from breakers.protocol import messages as wire

logger = logging.getLogger("breakers.agent")

# While reports go over HTTP, how often to see whether a WebSocket gets through by now: soon at
# first, for the network may only have been down, then ever more seldom.
_HTTP_FOR_FIRST_S: Final = 5.0
_HTTP_FOR_S: Final = 60.0
# Waiting will not put these right, a person will; and then the agent should not be long.
_NEEDS_A_PERSON: Final = frozenset(ADVICE)
_PERSON_S: Final = 5.0
_HEARD_MAX: Final = 64
# A dashboard that restarts says so: so long its agents take to come back, one by one.
_BACK_WITHIN_S: Final = 1.0


class Runner:
    """Threads: this one, and while a WebSocket is open one that reads it and two of `websockets`
    (its receiver and its pings). All are daemons: none keeps the process alive.

    What it costs is measured by `benchmarks/agent.py` and documented in docs/guide/agent.md.
    """

    def __init__(
        self, config: AgentConfig, registry: Registry, wanted: wire.Desired | None, forked: bool
    ) -> None:
        self.config = config
        self.registry = registry
        pid = os.getpid()
        self.instance = config.instance_of(pid, os.getppid() if forked else None)
        self.boot = secrets.token_hex(8)
        self.counters = AgentCounters()
        self.outbox = Outbox(config.buffer_bytes)
        file = None
        if config.state_dir is not None:
            file = DesiredFile(config.state_dir, config.service, SYSTEM_CLOCK)
            wanted = wanted or file.load()
        who = wire.Instance(
            self.instance,
            socket.gethostname()[:500],
            pid,
            config.version,
            config.zone,
            list(config.tags),
        )
        self.applier = Applier(registry.all, who, time.monotonic, config.obedience)
        self.conversation = Conversation(
            Speaker(config.service, who, self.boot),
            Collector(registry.all, time.monotonic),
            self.outbox,
            self.applier,
            self.counters,
            time.monotonic,
            config.interval_s,
            keep=file.save if file is not None else None,
        )
        if wanted is not None:
            self.applier.take(wanted)
        self._heard: queue.Queue[Heard | None] = queue.Queue(_HEARD_MAX)
        self._link: Link | None = None
        self._backoff = Backoff(config.reconnect_max_s)
        self._http_until = 0.0
        self._http_for_s = _HTTP_FOR_FIRST_S
        self._stop_by: float | None = None
        self._flushed = False
        self._thread = threading.Thread(target=self._run, name="breakers-agent", daemon=True)

    def start(self) -> None:
        """Begin to report and obey."""
        self.registry.on_create(self.applier.created)
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Report a last time and end, within `timeout_s`; whether all that happened is safe."""
        self._stop_by = time.monotonic() + timeout_s
        with contextlib.suppress(queue.Full):  # full: then it is awake
            self._heard.put_nowait(None)
        self._thread.join(timeout_s)
        self.registry.off_create(self.applier.created)
        return not self._thread.is_alive() and not len(self.outbox)

    def abandon(self) -> None:
        """In a child after fork, where this runner's thread does not exist: let go of what is the
        parent's."""
        self.registry.off_create(self.applier.created)
        if self._link is not None:
            self._link.abandon()

    def status(self) -> AgentStatus:
        """How it goes."""
        counters, outbox = self.counters, self.outbox
        return AgentStatus(
            running=self._thread.is_alive(),
            link=counters.link,
            problem=counters.problem,
            instance=self.instance,
            boot=self.boot,
            revision=self.applier.revision,
            interval_s=self.conversation.interval_s,
            buffered_reports=len(outbox),
            buffered_bytes=outbox.waiting_bytes + outbox.sealed_bytes,
            merges=outbox.merges,
            reports_sent=counters.reports_sent,
            reports_safe=counters.reports_safe,
            reports_dropped=counters.reports_dropped,
            calls_dropped=counters.calls_dropped,
            transitions_dropped=outbox.transitions_dropped,
            connects=counters.connects,
            errors=counters.errors,
            over_capacity=counters.over_capacity,
        )

    # -- The thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        while self._stop_by is None:
            self._idle(self._talk_until_lost())
        if not self._flushed:
            # Stopped between two links, or the link broke just then: one last attempt. Who asked
            # to stop waits no longer than they said, whatever becomes of it.
            self._talk_until_lost()

    def _talk_until_lost(self) -> float:
        """Speak over one link; how long to wait before the next, in seconds."""
        try:
            self._talk()
        except LinkLost as lost:
            return self._wait_after(lost)
        except Exception:
            return self._wait_after_error()
        finally:
            self._hang_up()
        return 0.0

    def _talk(self) -> None:
        """Speak over one link until it is lost, is to be changed, or the agent stops."""
        link = self._link = self._dial()
        self.counters.connects += 1
        self.conversation.begin(link)
        self._welcome(link)
        while self._stop_by is None:
            if isinstance(link, HttpLink) and self._wants_websocket():
                return
            self._listen(link, self.conversation.due_in())
            self.conversation.tick()
        self.conversation.flush()
        while len(self.outbox) and (left := self._stop_by - time.monotonic()) > 0:
            self._listen(link, left)
        self._flushed = True

    def _listen(self, link: Link, timeout_s: float) -> None:
        try:
            heard = self._heard.get(timeout=timeout_s)
        except queue.Empty:
            return
        if heard is None or heard[0] is not link:
            return
        if isinstance(heard[1], LinkLost):
            raise heard[1]
        self._backoff.reset()
        self.conversation.hear(heard[1])

    def _dial(self) -> Link:
        if self.config.transport == "http" or time.monotonic() < self._http_until:
            return HttpLink(self.config)
        try:
            link = SocketLink(self.config, self._heard)
        except LinkLost as lost:
            if lost.code != "no_websocket" or self.config.transport == "websocket":
                raise
            self._say(logging.WARNING, f"{lost}; reporting over plain HTTP")
            self._http_until = time.monotonic() + self._http_for_s
            self._http_for_s = min(_HTTP_FOR_S, 2 * self._http_for_s)
            return HttpLink(self.config)
        self._http_for_s = _HTTP_FOR_FIRST_S
        return link

    def _wants_websocket(self) -> bool:
        return self.config.transport != "http" and time.monotonic() >= self._http_until

    def _welcome(self, link: Link) -> None:
        self.counters.link, self.counters.problem = link.name, ""
        self.counters.said.clear()
        logger.info(
            "%s reports to %s by %s as %s",
            self.config.service,
            self.config.base,
            link.name,
            self.instance,
        )

    def _hang_up(self) -> None:
        self.counters.link = ""
        self.conversation.end()
        link, self._link = self._link, None
        if link is not None:
            link.close()

    # -- Waiting ---------------------------------------------------------------------------------

    def _wait_after(self, lost: LinkLost) -> float:
        self.counters.problem = str(lost)
        self._http_until = 0.0
        if lost.code in _NEEDS_A_PERSON:
            self._say(logging.ERROR, f"{lost}; {ADVICE[lost.code]}")
            return self._backoff.next(at_least_s=max(_PERSON_S, lost.retry_after_s))
        if lost.code == "going_away":
            self._say(logging.INFO, f"{lost}; connecting again")
            return self._backoff.soon(_BACK_WITHIN_S)
        self._say(logging.WARNING, f"no dashboard: {lost}; trying again, the service goes on")
        return self._backoff.next(at_least_s=lost.retry_after_s)

    def _wait_after_error(self) -> float:
        """A fault of the agent's own: the service must not notice, people should."""
        self.counters.errors += 1
        self.counters.problem = "a fault of the agent; see the log"
        if "fault" not in self.counters.said:
            self.counters.said.add("fault")
            logger.exception("the agent failed; it goes on with a new connection")
        return self._backoff.next(at_least_s=1.0)

    def _idle(self, wait_s: float) -> None:
        """Go on collecting while there is no link."""
        until = time.monotonic() + wait_s
        while self._stop_by is None and (left := until - time.monotonic()) > 0:
            try:
                # Woken by `stop`; what the link just lost still had to say is of no use any more.
                self._heard.get(timeout=min(left, max(0.01, self.conversation.due_in())))
            except queue.Empty:
                self.conversation.tick()

    def _say(self, level: int, text: str) -> None:
        """Log it, but the same only once until there is a link again."""
        if text not in self.counters.said and len(self.counters.said) < 20:
            self.counters.said.add(text)
            logger.log(level, text)
