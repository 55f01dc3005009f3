"""The data of the test shop, and the judgement of an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

COMPLETE, DEGRADED, REFUSED = "complete", "degraded", "refused"
WRONG, ERROR, NOTHING = "wrong data", "error", "no answer"


def truth(kind: str, user_id: int) -> Any:
    """What a healthy dependency answers about a user."""
    if kind == "users":
        return {"id": user_id, "name": f"User {user_id}", "version": 2}
    if kind == "posts":
        return [{"id": user_id * 10 + n, "author": user_id} for n in range(3)]
    return {"user": user_id, "friends": user_id * 7 % 400}


@dataclass(frozen=True, slots=True)
class Answer:
    """What one caller got. `status` 0 means that no answer came, in time or at all."""

    user_id: int
    status: int
    body: Any
    seconds: float

    @property
    def kind(self) -> str:
        """The class of the answer: the only data that counts as right is the true data."""
        if self.status == 0:
            return NOTHING
        if self.status == 503:
            return REFUSED
        if self.status != 200 or not isinstance(self.body, dict):
            return ERROR
        return _judge(self.user_id, self.body)


def _judge(user_id: int, body: dict[str, Any]) -> str:
    if body.get("user") != truth("users", user_id):
        return WRONG
    friends = truth("social", user_id)["friends"]
    missing = 0
    for name, right, empty in (
        ("posts", truth("posts", user_id), []),
        ("friend_count", friends, None),
    ):
        if body.get(name) == empty:
            missing += 1
        elif body.get(name) != right:
            return WRONG
    return DEGRADED if missing else COMPLETE
