"""What the agent tells about itself: every bound has its figure here."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class AgentStatus:
    """The agent at one moment. Figures count from its start; sizes are bytes.

    `link` is `websocket` or `http` while connected, else empty, and `problem` says why.
    `reports_dropped` and `calls_dropped` are what the dashboard refused for good,
    `transitions_dropped` what merged reports could not hold. `unwatched` are breakers that the
    dashboard has no capacity for: it neither shows nor counts what happens at them. It names 32.
    """

    running: bool = False
    link: str = ""
    problem: str = ""
    instance: str = ""
    boot: str = ""
    revision: int = 0
    interval_s: float = 0.0
    buffered_reports: int = 0
    buffered_bytes: int = 0
    merges: int = 0
    reports_sent: int = 0
    reports_safe: int = 0
    reports_dropped: int = 0
    calls_dropped: int = 0
    transitions_dropped: int = 0
    connects: int = 0
    errors: int = 0
    over_capacity: tuple[str, ...] = ()


@dataclass(slots=True)
class AgentCounters:
    """The figures as they grow; the agent's thread alone writes them."""

    link: str = ""
    problem: str = ""
    reports_sent: int = 0
    reports_safe: int = 0
    reports_dropped: int = 0
    calls_dropped: int = 0
    connects: int = 0
    errors: int = 0
    over_capacity: tuple[str, ...] = ()
    said: set[str] = field(default_factory=set)
