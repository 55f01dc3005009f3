"""What a failure mode is made of: its faults, its phases, and what is promised meanwhile.

A mode is a sequence of phases. A phase sets faults, may do something besides, sends requests at a
steady rate whether or not earlier ones were answered, and states a promise about their answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from tests.failure_modes.answers import COMPLETE, DEGRADED, REFUSED
from tests.failure_modes.faults import HEALTHY, Fault

GOOD: Final = frozenset({COMPLETE})
USABLE: Final = frozenset({COMPLETE, DEGRADED})
CLEAR: Final = frozenset({COMPLETE, DEGRADED, REFUSED})


@dataclass(frozen=True, slots=True)
class Promise:
    """What holds in a phase. `load` is requests at the watched dependency for each of ours;
    `others_s` is the time within which requests that need no dependency are answered."""

    answers: frozenset[str] = USABLE
    within_s: float = 1.0
    others_s: float = 0.4
    load: float | None = None
    share: float = 1.0
    rss_mb: float | None = None
    peak: int | None = None


@dataclass(frozen=True, slots=True)
class Phase:
    """`users`: "known" (asked for before, so that copies exist), "new", or "same" (all one).

    A phase without a promise sets the stage. `ours_alone` marks a check on Switchgear besides the
    mode's promise: that its protection goes on meanwhile, where the others have none to lose.
    """

    faults: Mapping[str, Fault] = field(default_factory=dict)
    promise: Promise | None = Promise()
    act: str = ""
    requests: int = 20
    every_s: float = 0.03
    users: str = "new"
    settle_s: float = 0.0
    deadline_ms: int | None = None
    abandon_s: float | None = None
    ours_alone: bool = False


@dataclass(frozen=True, slots=True)
class Mode:
    """A failure mode. `watched` is the dependency whose load is counted."""

    name: str
    user_sees: str
    knob: str
    phases: tuple[Phase, ...]
    watched: str = "posts"
    setup: frozenset[str] = frozenset()
    short: bool = False


def posts(fault: Fault, **promise: object) -> tuple[Phase, ...]:
    """Forty requests: enough for the breakers of six processes to open, where versions have six."""
    failing = Phase({"posts": fault}, Promise(**promise), requests=40)  # type: ignore[arg-type]
    return (failing, recovered("posts"))


def still_protected() -> tuple[Phase, ...]:
    """Checks on Switchgear alone: posts fails, and nobody but the breaker notices."""
    return tuple(replace(each, ours_alone=True) for each in posts(Fault("status", 500), load=1.0))


def recovered(*kinds: str, settle_s: float = 1.2) -> Phase:
    healthy = dict.fromkeys(kinds, HEALTHY)
    return Phase(healthy, Promise(GOOD, share=0.8), requests=10, every_s=0.1, settle_s=settle_s)


def users(fault: Fault, **promise: object) -> tuple[Phase, ...]:
    return (
        Phase({"users": fault}, Promise(**promise), users="known", settle_s=0.4),  # type: ignore[arg-type]
        recovered("users"),
    )


NO_POSTS = "The profile without posts, named as missing."
LAST_COPY = "The profile with the last good copy of the user."
NOTHING_MISSING = "The whole profile."
