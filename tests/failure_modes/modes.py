"""The 47 modes as data: what is done to the endpoint, and what is promised of it meanwhile.

A mode is a sequence of phases. A phase sets faults, may do something besides, sends requests at a
steady rate whether or not earlier ones were answered, and states a promise about their answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    """`users`: "known" (asked for before, so that copies exist), "new", or "same" (all one)."""

    faults: Mapping[str, Fault] = field(default_factory=dict)
    promise: Promise | None = Promise()
    act: str = ""
    requests: int = 20
    every_s: float = 0.03
    users: str = "new"
    settle_s: float = 0.0
    deadline_ms: int | None = None
    abandon_s: float | None = None


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


def _posts(fault: Fault, **promise: object) -> tuple[Phase, ...]:
    return (Phase({"posts": fault}, Promise(**promise)), _recovered("posts"))  # type: ignore[arg-type]


def _recovered(*kinds: str, settle_s: float = 1.2) -> Phase:
    healthy = dict.fromkeys(kinds, HEALTHY)
    return Phase(healthy, Promise(GOOD, share=0.8), requests=10, every_s=0.1, settle_s=settle_s)


def _users(fault: Fault, **promise: object) -> tuple[Phase, ...]:
    return (
        Phase({"users": fault}, Promise(**promise), users="known", settle_s=0.4),  # type: ignore[arg-type]
        _recovered("users"),
    )


NO_POSTS = "The profile without posts, named as missing."
LAST_COPY = "The profile with the last good copy of the user."
NOTHING_MISSING = "The whole profile."

MODES: Final[tuple[Mode, ...]] = (
    Mode(
        "users-db slow but not down: 4 s instead of 40 ms",
        LAST_COPY,
        "timeout, stale_ttl",
        _users(Fault("slow", 4.0)),
        "users",
        short=True,
    ),
    Mode(
        "posts hung after accept",
        NO_POSTS,
        "timeout, failure_threshold",
        _posts(Fault("hang"), load=1.0),
        short=True,
    ),
    Mode("posts accepts nothing", NO_POSTS, "timeout", _posts(Fault("accept nothing"))),
    Mode(
        "posts refuses connections",
        NO_POSTS,
        "failure_threshold, fallback",
        _posts(Fault("refuse")),
    ),
    Mode(
        "posts resets in mid-body", NO_POSTS, "record, fallback", _posts(Fault("reset"), load=1.0)
    ),
    Mode(
        "users-db sends half a response",
        LAST_COPY,
        "stale_ttl",
        _users(Fault("half"), load=1.2),
        "users",
    ),
    Mode(
        "users-db announces the wrong length",
        LAST_COPY,
        "stale_ttl",
        _users(Fault("short"), load=1.2),
        "users",
    ),
    Mode(
        "posts drips a byte every 100 ms",
        NO_POSTS,
        "timeout (of the attempt, not of a read)",
        _posts(Fault("drip", 0.1)),
        short=True,
    ),
    Mode("posts answers 200 with corrupt JSON", NO_POSTS, "record", _posts(Fault("corrupt"))),
    Mode(
        "posts answers 200 of the wrong shape",
        NO_POSTS,
        "the check of the result",
        _posts(Fault("shape")),
        short=True,
    ),
    Mode(
        "users-db answers with another user's data",
        LAST_COPY,
        "the check of the result",
        _users(Fault("foreign")),
        "users",
    ),
    Mode(
        "users-db answers with old data after a failover",
        LAST_COPY,
        "the check of the version",
        _users(Fault("older")),
        "users",
    ),
    Mode(
        "posts fails at random: 1, 10, 50 %",
        "Mostly the whole profile; posts missing at times.",
        "retries, retry_budget, failure_rate_threshold",
        (
            Phase({"posts": Fault("status", 500, every=100)}, Promise(GOOD, share=0.98)),
            Phase({"posts": Fault("status", 500, every=10)}, Promise(USABLE, load=1.4)),
            Phase({"posts": Fault("status", 500, every=2)}, Promise(USABLE, load=1.4)),
            _recovered("posts"),
        ),
    ),
    Mode(
        "posts answers 429, with and without Retry-After",
        NO_POSTS,
        "retries, fallback",
        (
            Phase({"posts": Fault("retry after", 5)}, Promise(load=1.0)),
            Phase({"posts": Fault("status", 429)}, Promise(load=1.0)),
            _recovered("posts"),
        ),
    ),
    Mode(
        "users-db answers 503",
        LAST_COPY,
        "stale_ttl, failure_threshold",
        _users(Fault("status", 503), load=1.0),
        "users",
        short=True,
    ),
    Mode(
        "posts redirects to itself",
        NO_POSTS,
        "follow_redirects of the client",
        _posts(Fault("redirect"), load=1.0),
    ),
    Mode(
        "the name of posts does not resolve",
        NO_POSTS,
        "fallback",
        (Phase({"dns": Fault("denied"), "posts": Fault("refuse")}), _recovered("dns", "posts")),
        setup=frozenset({"names"}),
    ),
    Mode(
        "the resolver takes 3 s",
        NO_POSTS,
        "timeout",
        (
            Phase({"dns": Fault("slow", 3.0), "posts": Fault("refuse")}),
            _recovered("dns", "posts", settle_s=3.5),
        ),
        setup=frozenset({"names"}),
    ),
    Mode(
        "posts does not speak TLS any more",
        NO_POSTS,
        "fallback",
        _posts(Fault("plain")),
        setup=frozenset({"tls"}),
    ),
    Mode(
        "the certificate of posts has expired",
        NO_POSTS,
        "fallback",
        _posts(Fault("expired")),
        setup=frozenset({"tls"}),
    ),
    Mode(
        "the pool of connections is exhausted",
        NO_POSTS,
        "bulkhead_size, timeout",
        (
            Phase(
                {"posts": Fault("slow", 2.0)},
                Promise(within_s=1.2, others_s=0.6, peak=40),
                requests=60,
                every_s=0.01,
            ),
            _recovered("posts"),
        ),
    ),
    Mode(
        "the cache is slow: 1 s",
        NOTHING_MISSING,
        "timeout of RedisCache",
        (Phase({"cache": Fault("slow", 1.0)}, Promise(GOOD)), _recovered("cache")),
        "users",
        short=True,
    ),
    Mode(
        "the cache is down",
        NOTHING_MISSING,
        "RedisCache (a miss)",
        (Phase({"cache": Fault("refuse")}, Promise(GOOD)), _recovered("cache")),
        "users",
    ),
    Mode(
        "the cache is poisoned",
        NOTHING_MISSING,
        "the check of what is cached",
        (Phase(act="poison", promise=Promise(GOOD), users="known"), _recovered()),
        "users",
    ),
    Mode(
        "stampede when a hot entry expires",
        NOTHING_MISSING,
        "single_flight",
        (
            Phase(
                {"users": Fault("slow", 0.15)},
                Promise(GOOD, within_s=0.8, others_s=0.6, load=0.1),
                requests=30,
                every_s=0.002,
                users="same",
                settle_s=0.4,
            ),
        ),
        "users",
    ),
    Mode(
        "the wall clock steps, both ways",
        NO_POSTS,
        "none: decisions read the monotonic clock",
        (
            Phase({"posts": Fault("status", 500)}, Promise(load=1.0), requests=30),
            Phase({"posts": Fault("status", 500)}, Promise(load=0.5), act="clock +3600"),
            Phase(
                {"posts": HEALTHY},
                Promise(GOOD, share=0.8),
                act="clock -3600",
                settle_s=1.2,
                requests=10,
                every_s=0.1,
            ),
        ),
    ),
    Mode(
        "all threads wait for posts",
        NO_POSTS,
        "timeout, bulkhead_size",
        (
            Phase(
                {"posts": Fault("hang")},
                Promise(within_s=1.2, others_s=0.6),
                requests=60,
                every_s=0.01,
            ),
            _recovered("posts"),
        ),
    ),
    Mode(
        "retry storm on users-db",
        LAST_COPY,
        "retry_budget, failure_threshold",
        _users(Fault("status", 500), load=1.0),
        "users",
    ),
    Mode(
        "timeouts cascade: the caller waits 400 ms",
        NO_POSTS,
        "deadline, carried by a header",
        (
            Phase({"posts": Fault("slow", 2.0)}, Promise(CLEAR, within_s=0.55), deadline_ms=400),
            _recovered("posts"),
        ),
    ),
    Mode(
        "the deadline is shorter than one attempt: 150 ms",
        "503, or what came in time.",
        "deadline",
        (
            Phase({"users": Fault("slow", 1.0)}, Promise(CLEAR, within_s=0.35), deadline_ms=150),
            _recovered("users"),
        ),
        "users",
    ),
    Mode(
        "the fallback fails too",
        "The profile without the number of friends.",
        "fallback (a chain)",
        (
            Phase({"social": Fault("status", 500), "store": Fault("status", 500)}),
            _recovered("social", "store"),
        ),
        "social",
    ),
    Mode(
        "the fallback hangs",
        "The profile without the number of friends.",
        "timeout of the fallback's call",
        (
            Phase({"social": Fault("status", 500), "store": Fault("hang")}),
            _recovered("social", "store"),
        ),
        "social",
    ),
    Mode(
        "memory pressure: posts sends 20 MB",
        NO_POSTS,
        "the largest body accepted",
        (
            Phase({"posts": Fault("huge", 20e6)}, Promise(within_s=1.5, others_s=1.0, rss_mb=60)),
            _recovered("posts"),
        ),
    ),
    Mode(
        "a pause of the process (GC, hypervisor): 1 s",
        NOTHING_MISSING,
        "failure_threshold above what a pause cuts off",
        (
            Phase(act="pause", promise=Promise(within_s=2.2, others_s=2.0)),
            Phase(promise=Promise(GOOD), requests=10, settle_s=0.2),
        ),
    ),
    Mode(
        "the process restarts during calls",
        NOTHING_MISSING,
        "the server's graceful shutdown",
        (
            Phase(
                {"posts": Fault("slow", 0.15)}, Promise(within_s=2.5, others_s=2.5), act="restart"
            ),
            Phase({"posts": HEALTHY}, Promise(GOOD), requests=10, settle_s=0.5),
        ),
    ),
    Mode(
        "a fork with open connections",
        NOTHING_MISSING,
        "renewal after fork",
        (Phase(promise=Promise(GOOD), requests=40, every_s=0.01), _recovered()),
        setup=frozenset({"fork"}),
    ),
    Mode(
        "callers hang up after 80 ms",
        "Nothing: they are gone.",
        "cancellation",
        (
            Phase(
                {"posts": Fault("slow", 1.5)},
                Promise(CLEAR, share=0.0),
                abandon_s=0.08,
                requests=40,
                every_s=0.02,
            ),
            Phase(
                {"posts": HEALTHY}, Promise(GOOD, share=0.8), requests=10, every_s=0.1, settle_s=1.2
            ),
        ),
    ),
    Mode(
        "a probe never returns",
        NO_POSTS,
        "half_open_lease, timeout",
        (
            Phase({"posts": Fault("status", 500)}, Promise()),
            Phase({"posts": Fault("hang")}, Promise(load=0.6), settle_s=1.0),
            _recovered("posts", settle_s=1.5),
        ),
    ),
    Mode(
        "posts flaps every 300 ms",
        "The profile, at times without posts.",
        "window_size, timeout_duration",
        (Phase({"posts": Fault("flap", 0.3)}, Promise(load=1.4), requests=60), _recovered("posts")),
    ),
    Mode(
        "thundering herd at recovery",
        NO_POSTS,
        "half_open_max_calls, open_jitter",
        (
            Phase({"posts": Fault("refuse")}, Promise()),
            Phase({"posts": Fault("overload", 4)}, Promise(peak=12), settle_s=1.0, requests=40),
            _recovered("posts"),
        ),
    ),
    Mode(
        "stuck half-open",
        "The whole profile soon after the dependency is well.",
        "success_threshold, half_open_lease",
        (
            Phase({"posts": Fault("status", 500)}, Promise()),
            Phase({"posts": Fault("status", 500, every=2)}, Promise(), settle_s=1.0),
            Phase(
                {"posts": HEALTHY}, Promise(GOOD, share=0.7), requests=12, every_s=0.1, settle_s=1.0
            ),
        ),
    ),
    Mode(
        "one bad instance of three",
        "Almost always the whole profile.",
        "retries",
        (
            Phase({"posts": Fault("status", 500)}, Promise(USABLE), requests=30),
            Phase(promise=Promise(GOOD, share=0.6), requests=30),
            _recovered("posts"),
        ),
        setup=frozenset({"instances"}),
    ),
    Mode(
        "the dashboard is down",
        NO_POSTS,
        "none: it is not on the path of a call",
        (Phase(promise=Promise(GOOD)), *_posts(Fault("status", 500), load=1.0)),
        setup=frozenset({"dashboard down"}),
    ),
    Mode(
        "the dashboard accepts and says nothing",
        NO_POSTS,
        "none",
        (Phase(promise=Promise(GOOD)), *_posts(Fault("status", 500), load=1.0)),
        setup=frozenset({"dashboard silent"}),
    ),
    Mode(
        "the dashboard restarts, and sends an invalid policy",
        NO_POSTS,
        "none: a bad policy is refused as a whole",
        (
            Phase(promise=Promise(GOOD), act="invalid policy"),
            Phase(promise=Promise(GOOD), act="restart dashboard"),
            *_posts(Fault("status", 500), load=1.0),
        ),
        setup=frozenset({"dashboard"}),
    ),
    Mode(
        "forced open in the middle of a probe",
        NO_POSTS,
        "the operator's override",
        (
            Phase({"posts": Fault("status", 500)}, Promise()),
            Phase({"posts": Fault("hang")}, None, requests=3, settle_s=1.0),
            Phase({"posts": HEALTHY}, None, act="force", requests=2),
            Phase({}, Promise(frozenset({DEGRADED}), load=0.0), settle_s=1.0),
        ),
        setup=frozenset({"dashboard"}),
        short=True,
    ),
    Mode(
        "an override ends while the dashboard is away",
        NO_POSTS,
        "the override's expiry, which the agent holds",
        (
            Phase(promise=None, act="force 2.5", requests=2),
            Phase(
                {},
                Promise(frozenset({DEGRADED}), load=0.0),
                act="stop dashboard",
                settle_s=1.0,
                requests=10,
            ),
            Phase({}, Promise(GOOD, share=0.8), settle_s=2.5, requests=10, every_s=0.1),
        ),
        setup=frozenset({"dashboard"}),
    ),
)
