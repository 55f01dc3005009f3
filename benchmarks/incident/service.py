"""One version of the endpoint: `python -m benchmarks.incident.service FD VERSION PORT WORKERS`.

All three are asynchronous and in one process, so that they differ in nothing but how they call.
"""

from __future__ import annotations

import asyncio
import json
import math
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.incident.wire import Pool, read_line
from breakers import Bulkhead, CallOptions, CircuitBreaker, ResilientCaller
from examples.parent_watchdog import end_with_parent

POOL = 400


class Naive:
    """Calls in turn, without a limit in time or number. With `retries`, as many old clients do:
    three attempts of one second each, at once."""

    def __init__(self, port: int, workers: int, retries: bool = False) -> None:
        self.pool = Pool(port, POOL)
        self.retries = retries

    async def profile(self, user_id: int) -> dict[str, Any]:
        user = await self.user(user_id)
        posts = await self.pool.ask({"fixed": user_id})
        social = await self.pool.ask({"fixed": user_id})
        return {"user": user, "posts": posts, "social": social}

    async def user(self, user_id: int) -> Any:
        for attempt in range(3 if self.retries else 1):
            try:
                async with asyncio.timeout(1.0 if self.retries else None):
                    return await self.pool.ask({"id": user_id})
            except (OSError, TimeoutError):
                if attempt == 2 or not self.retries:
                    raise
        raise AssertionError


class Refusal(Exception):
    """The article's breaker is open."""


@dataclass
class ArticleBreaker:
    """Failures in a row open it for a fixed time; any number of probes; successes close it."""

    failures: int = 5
    open_s: float = 30.0
    successes: int = 2
    failed: int = 0
    succeeded: int = 0
    failed_at: float = 0.0
    state: str = "closed"

    async def call(self, func: Callable[..., Any], *args: Any) -> Any:
        if self.state == "open":
            if time.time() - self.failed_at <= self.open_s:
                raise Refusal
            self.state, self.succeeded = "half_open", 0
        try:
            result = await func(*args)
        except Exception:
            self.failed += 1
            self.failed_at = time.time()
            if self.failed >= self.failures:
                self.state = "open"
            raise
        self.failed = 0
        if self.state == "half_open":
            self.succeeded += 1
            if self.succeeded >= self.successes:
                self.state = "closed"
        return result


class Article:
    """The article's pattern with its own figures. The user's call is critical there: three
    attempts of two seconds with backoff, no breaker, no fallback."""

    def __init__(self, port: int, workers: int) -> None:
        self.pool = Pool(port, POOL)
        self.posts, self.social = ArticleBreaker(), ArticleBreaker()

    async def profile(self, user_id: int) -> dict[str, Any]:
        user = await self.attempts({"id": user_id}, 2.0, 3, None, None)
        posts = await self.attempts({"fixed": user_id}, 3.0, 2, self.posts, [])
        social = await self.attempts({"fixed": user_id}, 1.0, 2, self.social, {})
        return {"user": user, "posts": posts, "social": social}

    async def attempts(
        self,
        message: Any,
        seconds: float,
        attempts: int,
        breaker: ArticleBreaker | None,
        fallback: Any,
    ) -> Any:
        async def bounded() -> Any:
            async with asyncio.timeout(math.ceil(seconds)):
                return await self.pool.ask(message)

        for attempt in range(attempts):
            try:
                return await (breaker.call(bounded) if breaker else bounded())
            except Exception as error:
                last = isinstance(error, Refusal) or attempt == attempts - 1
                if last and fallback is None:
                    raise
                if last:
                    return fallback
                await asyncio.sleep(0.5 * 2**attempt)
        raise AssertionError


class Ours:
    """The same calls through Switchgear: as many queries at once as the database has workers, half
    a second for each, and the last copy of a user where the database does not answer."""

    def __init__(self, port: int, workers: int) -> None:
        self.pool = Pool(port, POOL)
        self.caller = ResilientCaller()
        self.copies: dict[int, Any] = {}
        policy = {"failure_rate_threshold": 0.5, "window_type": "time", "window_size": 3}
        users = CircuitBreaker(None, 1.0, 2, name="users-db", half_open_max_calls=3, **policy)
        self.users = CallOptions(
            timeout=0.5,
            retries=1,
            circuit_breaker=users,
            bulkhead=Bulkhead(workers + 1, max_wait=0.15),
            fallback=self.copy,
        )
        posts = CircuitBreaker(5, 1.0, name="posts", **policy)
        social = CircuitBreaker(5, 1.0, name="social", **policy)
        self.posts = CallOptions(0.5, 2, 0.02, posts, fallback=lambda message: None)
        self.social = CallOptions(0.5, 2, 0.02, social, fallback=lambda message: None)

    def copy(self, message: dict[str, int]) -> Any:
        return self.copies[message["id"]] | {"copy": True}

    async def profile(self, user_id: int) -> dict[str, Any]:
        user, posts, social = await asyncio.gather(
            self.caller.acall(self.pool.ask, self.users, {"id": user_id}),
            self.caller.acall(self.pool.ask, self.posts, {"fixed": user_id}),
            self.caller.acall(self.pool.ask, self.social, {"fixed": user_id}),
        )
        degraded = "copy" in user or posts is None or social is None
        if "copy" not in user:
            self.copies[user_id] = user  # bounded by the users of the benchmark
        return {"user": user, "posts": posts, "social": social, "degraded": degraded}


def make(version: str, port: int, workers: int) -> Naive | Article | Ours:
    if version == "naive with retries":
        return Naive(port, workers, retries=True)
    return {"naive": Naive, "article": Article, "switchgear": Ours}[version](port, workers)


async def main() -> None:
    end_with_parent()
    listening = socket.socket(fileno=int(sys.argv[1]))
    service = make(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))

    # A request whose caller is gone goes on waiting, as threads do: asyncio alone would forget it.
    serving: set[object] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(task := asyncio.current_task())
        while line := await read_line(reader):
            try:
                answer: dict[str, Any] = await service.profile(json.loads(line)["id"])
            except Exception as error:
                answer = {"error": repr(error)}
            writer.write(json.dumps(answer).encode() + b"\n")
        serving.discard(task)

    server = await asyncio.start_server(serve, sock=listening, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
