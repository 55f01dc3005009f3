"""A dependency: users-db, posts or social. Its behaviour can be changed while it runs."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from examples.shop.behaviour import NORMAL, Behaviour
from examples.shop.http import Json, make_application, problem, read_body

_NAMES = ("Ada", "Grace", "Edsger", "Barbara", "Donald", "Radia", "Leslie", "Frances")
_TOPICS = ("timeouts", "retries", "bulkheads", "backoff", "fallbacks", "probes")


def answer_of(kind: str, user_id: int) -> Any:
    """What a healthy dependency of this kind knows about a user."""
    if kind == "users-db":
        return {"id": user_id, "name": f"{_NAMES[user_id % len(_NAMES)]} {user_id}"}
    if kind == "posts":
        topics = (_TOPICS[(user_id + n) % len(_TOPICS)] for n in range(1 + user_id % 3))
        return [{"id": user_id * 10 + n, "title": f"On {topic}"} for n, topic in enumerate(topics)]
    return {"friends": (user_id * 37) % 400}


class Dependency:
    """Answers `GET /<user id>`; `GET` and `PUT /behaviour` read and set how it behaves."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.behaviour = NORMAL[kind]
        self.requests = 0
        self.in_flight = 0

    def app(self) -> Starlette:
        """Its HTTP server."""
        return make_application(
            [
                Route("/{user_id:user}", self.get),
                Route("/behaviour", self.show, methods=["GET"]),
                Route("/behaviour", self.change, methods=["PUT"]),
            ]
        )

    async def get(self, request: Request) -> Response:
        """Answer in the time, and with the luck, of the present behaviour."""
        self.requests += 1
        self.in_flight += 1
        behaviour = self.behaviour
        try:
            await asyncio.sleep(behaviour.latency())
        finally:
            self.in_flight -= 1
        if random.random() < behaviour.errors:
            return problem(500, f"{self.kind} is out of order")
        if random.random() < behaviour.corrupt:
            return Response(b'{"id": 1, "na\xff', media_type="application/json")
        return Json(answer_of(self.kind, request.path_params["user_id"]))

    async def show(self, request: Request) -> Response:
        """The behaviour, and how much is asked of it."""
        return Json(
            {
                "kind": self.kind,
                "behaviour": self.behaviour,
                "normal": self.behaviour == NORMAL[self.kind],
                "requests": self.requests,
                "in_flight": self.in_flight,
            }
        )

    async def change(self, request: Request) -> Response:
        """Take over the behaviour in the body; an empty body goes back to normal."""
        if body := await read_body(request):
            self.behaviour = msgspec.json.decode(body, type=Behaviour)
        else:
            self.behaviour = NORMAL[self.kind]
        return await self.show(request)
