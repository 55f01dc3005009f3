"""Celery's worker and beat die: services, counting and overrides do not need them, and what they
had to do is done when they are back, once."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.examples.running import eventually, http
from tests.production_shape import SERVICE, TOKEN, ProductionStack

_HOURS = 20
_CALLS = 100


def tell_of_yesterday(shape: ProductionStack) -> None:
    """An agent was offline and brings what it counted in each of many hours."""

    def send(n: int) -> None:
        counts = {"success": _CALLS, "rejected": n}
        report = {
            "type": "report",
            "service": SERVICE,
            "instance": {"id": "was-away"},
            "boot": "b",
            "seq": n,
            "interval_s": 10.0,
            "age_s": 3600.0 * (n + 1),  # hours that are over for long enough to be carried
            "breakers": [{"name": "old", "state": "closed", "counts": counts}],
        }
        url, headers = f"{shape.agents_url}/api/v1/reports", {"Authorization": f"Bearer {TOKEN}"}
        assert http.post(url, json=report, headers=headers).is_success

    with ThreadPoolExecutor(_HOURS) as pool:
        list(pool.map(send, range(1, _HOURS + 1)))


def mark(shape: ProductionStack) -> Any:
    """Up to when minutes are filled."""
    return shape.python(
        "from dashboard.history.services import marks\nprint(json.dumps(marks()[1]))"
    )


def standing(shape: ProductionStack, breaker: str) -> Any:
    """Why and how many seconds after its expiry each override of a breaker ended; None for one that
    stands."""
    return shape.python(
        "from dashboard.control.models import Override\n"
        f"found = Override.objects.filter(breaker='{breaker}', reason='a drill', by='ops')\n"
        "print(json.dumps([[each.ended_why, (each.ended - each.expires).total_seconds()]\n"
        "    if each.ended else None for each in found.order_by('-created')]))"
    )


def test_the_worker_and_the_beat_are_killed(shape: ProductionStack) -> None:
    tell_of_yesterday(shape)
    shape.python("from dashboard.history.tasks import roll_up\nroll_up.delay()\nprint(1)")
    eventually(lambda: mark(shape), 20)
    # It has begun, and perhaps not ended.
    shape.worker.kill()
    shape.beat.kill()
    before = mark(shape)

    # An override comes into force and ends where it counts, with nobody to end it in the database.
    shape.force("posts", "metrics_only", expires_in_s=6.0)
    shape.until_true(posts="metrics_only")
    shape.until_true()
    assert standing(shape, "posts")[0] is None
    assert mark(shape) == before

    shape.worker.start()
    shape.beat.start()
    eventually(lambda: standing(shape, "posts")[0] == ["expired", 0.0], 20)
    expected = [_HOURS * _CALLS, sum(range(1, _HOURS + 1))]

    def rolled_up() -> bool:
        minutes, _, hours, _ = shape.carried()
        return minutes.get("old") == hours.get("old") == expected

    # The beat has it run each 30 s.
    eventually(rolled_up, 40, shape.carried)
    minutes, of_seconds, hours, of_minutes = shape.carried()
    assert (minutes, hours) == (of_seconds, of_minutes)


def test_they_go_on_after_redis_has_lost_its_data(shape: ProductionStack) -> None:
    shape.redis.end(signal.SIGKILL)
    shape.redis.forget()
    time.sleep(1)
    shape.redis.start()
    shape.until_true()
    shape.force("posts", "metrics_only", expires_in_s=1.0)
    eventually(lambda: standing(shape, "posts")[0] == ["expired", 0.0], 20)
