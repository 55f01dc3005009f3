"""Failure modes of the process itself, of its callers, and of the control plane."""

from __future__ import annotations

from typing import Final

from tests.failure_modes.answers import DEGRADED
from tests.failure_modes.faults import HEALTHY, Fault
from tests.failure_modes.mode_types import (
    CLEAR,
    GOOD,
    LAST_COPY,
    NO_POSTS,
    NOTHING_MISSING,
    USABLE,
    Mode,
    Phase,
    Promise,
    recovered,
    still_protected,
    users,
)

OWN_MODES: Final[tuple[Mode, ...]] = (
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
            recovered("posts"),
        ),
    ),
    Mode(
        "the cache is slow: 1 s",
        NOTHING_MISSING,
        "timeout of RedisCache",
        (Phase({"cache": Fault("slow", 1.0)}, Promise(GOOD)), recovered("cache")),
        "users",
        short=True,
    ),
    Mode(
        "the cache is down",
        NOTHING_MISSING,
        "RedisCache (a miss)",
        (Phase({"cache": Fault("refuse")}, Promise(GOOD)), recovered("cache")),
        "users",
    ),
    Mode(
        "the cache is poisoned",
        NOTHING_MISSING,
        "the check of what is cached",
        (Phase(act="poison", promise=Promise(GOOD), users="known"), recovered()),
        "users",
    ),
    Mode(
        "stampede when a hot entry expires",
        NOTHING_MISSING,
        "single_flight",
        (
            Phase(
                {"users": Fault("slow", 0.15)},
                # Six calls of 30: one for each process of the versions that need processes.
                Promise(GOOD, within_s=0.8, others_s=0.6, load=0.21),
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
        "The whole profile as soon as posts is well.",
        "none: decisions read the monotonic clock",
        (
            Phase({"posts": Fault("status", 500)}, None, requests=30),
            Phase(promise=Promise(load=0.5), act="clock +3600", ours_alone=True),
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
            recovered("posts"),
        ),
    ),
    Mode(
        "retry storm on users-db",
        LAST_COPY,
        "retry_budget, failure_threshold",
        users(Fault("status", 500), load=1.0),
        "users",
    ),
    Mode(
        "timeouts cascade: the caller waits 400 ms",
        NO_POSTS,
        "deadline, carried by a header",
        (
            Phase({"posts": Fault("slow", 2.0)}, Promise(CLEAR, within_s=0.55), deadline_ms=400),
            recovered("posts"),
        ),
    ),
    Mode(
        "the deadline is shorter than one attempt: 150 ms",
        "503, or what came in time.",
        "deadline",
        (
            Phase({"users": Fault("slow", 1.0)}, Promise(CLEAR, within_s=0.35), deadline_ms=150),
            recovered("users"),
        ),
        "users",
    ),
    Mode(
        "the fallback fails too",
        "The profile without the number of friends.",
        "fallback (a chain)",
        (
            Phase({"social": Fault("status", 500), "store": Fault("status", 500)}),
            recovered("social", "store"),
        ),
        "social",
    ),
    Mode(
        "the fallback hangs",
        "The profile without the number of friends.",
        "timeout of the fallback's call",
        (
            Phase({"social": Fault("status", 500), "store": Fault("hang")}),
            recovered("social", "store"),
        ),
        "social",
    ),
    Mode(
        "memory pressure: posts sends 20 MB",
        NO_POSTS,
        "the largest body accepted",
        (
            Phase({"posts": Fault("huge", 20e6)}, Promise(within_s=1.5, others_s=1.0, rss_mb=60)),
            recovered("posts"),
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
        "renewal after fork; clients opened by each process",
        (Phase(promise=Promise(GOOD), requests=40, every_s=0.015), recovered()),
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
            Phase({"posts": Fault("status", 500)}, None),
            Phase({"posts": Fault("hang")}, Promise(load=0.6), settle_s=1.0),
            recovered("posts", settle_s=1.5),
        ),
    ),
    Mode(
        "posts flaps every 300 ms",
        "The profile, at times without posts.",
        "window_size, timeout_duration",
        (Phase({"posts": Fault("flap", 0.3)}, Promise(load=1.4), requests=60), recovered("posts")),
    ),
    Mode(
        "thundering herd at recovery",
        NO_POSTS,
        "bulkhead_size, half_open_max_calls, open_jitter",
        (
            Phase({"posts": Fault("refuse")}, None),
            Phase({"posts": Fault("overload", 4)}, Promise(peak=12), settle_s=1.0, requests=40),
            recovered("posts"),
        ),
    ),
    Mode(
        "stuck half-open",
        "The whole profile soon after the dependency is well.",
        "success_threshold, half_open_lease",
        (
            Phase({"posts": Fault("status", 500)}, None),
            Phase({"posts": Fault("status", 500, every=2)}, None, settle_s=1.0),
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
            recovered("posts"),
        ),
        setup=frozenset({"instances"}),
    ),
    Mode(
        "the dashboard is down",
        NOTHING_MISSING,
        "none: it is not on the path of a call",
        (Phase(promise=Promise(GOOD)), *still_protected()),
        setup=frozenset({"dashboard down"}),
        short=True,
    ),
    Mode(
        "the dashboard accepts and says nothing",
        NOTHING_MISSING,
        "none",
        (Phase(promise=Promise(GOOD)), *still_protected()),
        setup=frozenset({"dashboard silent"}),
    ),
    Mode(
        "the dashboard restarts, and sends an invalid policy",
        NOTHING_MISSING,
        "none: a bad policy is refused as a whole",
        (
            Phase(promise=Promise(GOOD), act="invalid policy"),
            Phase(promise=Promise(GOOD), act="restart dashboard"),
            *still_protected(),
        ),
        setup=frozenset({"dashboard"}),
    ),
    Mode(
        "forced open in the middle of a probe",
        NO_POSTS,
        "the operator's override",
        (
            Phase({"posts": Fault("status", 500)}, None),
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
