"""The least that a broadcaster can be: an ASGI application in which one loop takes what Redis
publishes and sends it to every open WebSocket. The floor of `benchmarks.fanout`."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import Any

import redis.asyncio

TOPIC = "switchgear:topic:bare"
_sends: set[Any] = set()
_tasks: set[asyncio.Task[None]] = set()


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Whoever connects hears everything."""
    if scope["type"] == "lifespan":
        await receive()
        _tasks.add(asyncio.create_task(_broadcast()))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for task in _tasks:
            task.cancel()
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
    else:
        await receive()
        await send({"type": "websocket.accept"})
        _sends.add(send)
        try:
            while (await receive())["type"] != "websocket.disconnect":
                pass
        finally:
            _sends.discard(send)


async def _broadcast() -> None:
    client = redis.asyncio.Redis.from_url(os.environ["SWITCHGEAR_BUS_URL"])
    async with client.pubsub(ignore_subscribe_messages=True) as heard:
        await heard.subscribe(TOPIC)
        async for message in heard.listen():
            text = message["data"].decode()
            for send in tuple(_sends):
                with contextlib.suppress(Exception):
                    await send({"type": "websocket.send", "text": text})
