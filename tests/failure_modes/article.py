"""The article's pattern, written anew from its description, with the holes that it has.

The breaker reads the wall clock, limits no probes and forgets nothing in a window. The timeout is
an alarm in whole seconds. A cached None is a miss. Retries sleep past any deadline. The user's call
has no breaker and no fallback. What the pattern can be told has the values of our version, so that
they differ in what they do and not in how they are set; timeouts are the shortest that it knows.
"""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from itertools import cycle
from typing import Any

import redis
import requests

from tests.failure_modes.config import Config


def wall_now() -> datetime:
    """The wall clock; the endpoint's process may have stepped it."""
    return datetime.fromtimestamp(time.time())


class Refusal(Exception):
    """The breaker is open."""


class Phase(Enum):
    CLOSED = 1
    OPEN = 2
    HALF_OPEN = 3


class Breaker:
    """Counts failures in a row; open for a fixed time; closes after some successes."""

    def __init__(self, failures: int = 5, open_s: float = 0.8, successes: int = 1) -> None:
        self.limit, self.open_s, self.needed = failures, open_s, successes
        self.failed = self.succeeded = 0
        self.failed_at: datetime | None = None
        self.phase = Phase.CLOSED
        self.lock = threading.Lock()

    def call(self, func: Callable[..., Any], *args: Any) -> Any:
        with self.lock:
            if self.phase is Phase.OPEN:
                assert self.failed_at is not None
                if wall_now() - self.failed_at <= timedelta(seconds=self.open_s):
                    raise Refusal("Service unavailable")
                self.phase = Phase.HALF_OPEN
                self.succeeded = 0
        try:
            result = func(*args)
        except Exception:
            with self.lock:
                self.failed += 1
                self.failed_at = wall_now()
                if self.failed >= self.limit:
                    self.phase = Phase.OPEN
            raise
        with self.lock:
            self.failed = 0
            if self.phase is Phase.HALF_OPEN:
                self.succeeded += 1
                if self.succeeded >= self.needed:
                    self.phase = Phase.CLOSED
        return result


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """A timeout by SIGALRM, which counts whole seconds and works in the main thread alone."""

    def ring(number: int, frame: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(math.ceil(seconds))
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@dataclass(frozen=True)
class Options:
    timeout: float
    key: str
    ttl_ms: int
    retries: int = 2
    delay: float = 0.02
    breaker: Breaker | None = None
    fallback: Callable[..., Any] | None = None


class Caller:
    """Cache, then attempts within breaker and timeout, then the fallback."""

    def __init__(self, cache: redis.Redis) -> None:
        self.cache = cache

    def call(self, func: Callable[..., Any], options: Options, *args: Any) -> Any:
        stored = self.cache.get(options.key)
        cached = None if stored is None else json.loads(stored)
        if cached is not None:
            return cached
        try:
            result = self.attempts(func, options, *args)
            if result is not None:
                self.cache.set(options.key, json.dumps(result), px=options.ttl_ms)
            return result
        except Exception:
            if options.fallback is not None:
                return options.fallback(*args)
            raise

    def attempts(self, func: Callable[..., Any], options: Options, *args: Any) -> Any:
        last: Exception | None = None
        for attempt in range(options.retries):
            try:
                if options.breaker is not None:
                    return options.breaker.call(self.bounded, func, options.timeout, *args)
                return self.bounded(func, options.timeout, *args)
            except Refusal:
                raise
            except Exception as error:
                last = error
                if attempt < options.retries - 1:
                    time.sleep(options.delay * 2**attempt)
        assert last is not None
        raise last

    def bounded(self, func: Callable[..., Any], seconds: float, *args: Any) -> Any:
        with alarm(seconds):
            return func(*args)


class ArticleProfiles:
    """The profile service of the article: the user is critical, posts and friends can degrade."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.caller = Caller(redis.Redis(port=config.redis))
        self.http = requests.Session()
        self.http.verify = config.ca or True
        self.http.trust_env = False  # else REQUESTS_CA_BUNDLE would win over `verify`
        self.turns = {kind: cycle(bases) for kind, bases in config.peers.items()}
        self.posts = Breaker()
        self.social = Breaker()

    def get(self, kind: str, user_id: int) -> Any:
        answer = self.http.get(f"{next(self.turns[kind])}/{user_id}")
        answer.raise_for_status()
        return answer.json()

    def options(self, kind: str, user_id: int, timeout: float, **more: Any) -> Options:
        key = f"{self.config.prefix}:article:{kind}:{user_id}"
        return Options(timeout, key, self.config.ttl_ms, **more)

    def get_user_profile(self, user_id: int) -> dict[str, Any]:
        user = self.caller.call(self.get, self.options("users", user_id, 1.0), "users", user_id)
        posts = self.caller.call(
            self.get,
            self.options("posts", user_id, 1.0, breaker=self.posts, fallback=lambda *args: []),
            "posts",
            user_id,
        )
        social = self.caller.call(
            self.get,
            self.options(
                "social",
                user_id,
                1.0,
                breaker=self.social,
                fallback=lambda *args: self.get("store", user_id),
            ),
            "social",
            user_id,
        )
        friends = None if social is None else social["friends"]
        return {"user": user, "posts": posts, "friend_count": friends}
