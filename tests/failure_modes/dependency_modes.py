"""Failure modes of dependencies and of the way to them."""

from __future__ import annotations

from typing import Final

from tests.failure_modes.faults import Fault
from tests.failure_modes.mode_types import (
    GOOD,
    LAST_COPY,
    NO_POSTS,
    USABLE,
    Mode,
    Phase,
    Promise,
    posts,
    recovered,
    users,
)

DEPENDENCY_MODES: Final[tuple[Mode, ...]] = (
    Mode(
        "users-db slow but not down: 4 s instead of 40 ms",
        LAST_COPY,
        "timeout, stale_ttl",
        users(Fault("slow", 4.0)),
        "users",
        short=True,
    ),
    Mode(
        "posts hung after accept",
        NO_POSTS,
        "timeout, failure_threshold",
        posts(Fault("hang"), load=1.0),
        short=True,
    ),
    Mode("posts accepts nothing", NO_POSTS, "timeout", posts(Fault("accept nothing"))),
    Mode(
        "posts refuses connections",
        NO_POSTS,
        "failure_threshold, fallback",
        posts(Fault("refuse")),
    ),
    Mode("posts resets in mid-body", NO_POSTS, "record, fallback", posts(Fault("reset"), load=1.0)),
    Mode(
        "users-db sends half a response",
        LAST_COPY,
        "stale_ttl",
        users(Fault("half"), load=1.2),
        "users",
    ),
    Mode(
        "users-db announces the wrong length",
        LAST_COPY,
        "stale_ttl",
        users(Fault("short"), load=1.2),
        "users",
    ),
    Mode(
        "posts drips a byte every 100 ms",
        NO_POSTS,
        "timeout (of the attempt, not of a read)",
        posts(Fault("drip", 0.1)),
        short=True,
    ),
    Mode("posts answers 200 with corrupt JSON", NO_POSTS, "record", posts(Fault("corrupt"))),
    Mode(
        "posts answers 200 of the wrong shape",
        NO_POSTS,
        "the check of the result",
        posts(Fault("shape")),
        short=True,
    ),
    Mode(
        "users-db answers with another user's data",
        LAST_COPY,
        "the check of the result",
        users(Fault("foreign")),
        "users",
    ),
    Mode(
        "users-db answers with old data after a failover",
        LAST_COPY,
        "the check of the version",
        users(Fault("older")),
        "users",
    ),
    Mode(
        "posts fails at random: 1, 10, 50 %",
        "Mostly the whole profile; posts missing at times.",
        "retries, retry_budget, failure_rate_threshold",
        (
            Phase(
                {"posts": Fault("status", 500, every=100)},
                Promise(GOOD, share=0.98),
                requests=100,
                every_s=0.04,
            ),
            Phase(
                {"posts": Fault("status", 500, every=10)},
                Promise(USABLE, load=1.4),
                requests=50,
            ),
            # Long enough for the budget of retries to rule, and not its first tokens.
            Phase(
                {"posts": Fault("status", 500, every=2)},
                Promise(USABLE, load=1.4),
                requests=120,
                every_s=0.04,
            ),
            recovered("posts"),
        ),
    ),
    Mode(
        "posts answers 429, with and without Retry-After",
        NO_POSTS,
        "retries, fallback",
        (
            Phase({"posts": Fault("retry after", 5)}, Promise(load=1.0), requests=40),
            Phase({"posts": Fault("status", 429)}, Promise(load=1.0), requests=40),
            recovered("posts"),
        ),
    ),
    Mode(
        "users-db answers 503",
        LAST_COPY,
        "stale_ttl, failure_threshold",
        users(Fault("status", 503), load=1.0),
        "users",
        short=True,
    ),
    Mode(
        "posts redirects to itself",
        NO_POSTS,
        "follow_redirects of the client",
        posts(Fault("redirect"), load=1.0),
    ),
    Mode(
        "the name of posts does not resolve",
        NO_POSTS,
        "fallback",
        (Phase({"dns": Fault("denied"), "posts": Fault("refuse")}), recovered("dns", "posts")),
        setup=frozenset({"names"}),
    ),
    Mode(
        "the resolver takes 3 s",
        NO_POSTS,
        "timeout",
        (
            Phase({"dns": Fault("slow", 3.0), "posts": Fault("refuse")}),
            recovered("dns", "posts", settle_s=3.5),
        ),
        setup=frozenset({"names"}),
    ),
    Mode(
        "posts does not speak TLS any more",
        NO_POSTS,
        "fallback",
        posts(Fault("plain")),
        setup=frozenset({"tls"}),
    ),
    Mode(
        "the certificate of posts has expired",
        NO_POSTS,
        "fallback",
        posts(Fault("expired")),
        setup=frozenset({"tls"}),
    ),
)
