"""The shape of docker-compose.yml without containers: web, fleet, worker and beat as processes of
their own on a real Redis and a real PostgreSQL, and a real agent that reports to them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from breakers import CircuitBreaker, CircuitForcedOpen, Registry
from breakers.agent import start
from tests.dashboard.child_process import Dashboard
from tests.examples.running import Running, eventually, http, running
from tests.servers import free_port, postgres_server, redis_server

TOKEN = "swg_" + "t" * 40


@dataclass
class ProductionStack(Dashboard):
    fleet: Running

    def counted(self) -> int:
        """All the successes in history."""
        total: int = self.python(
            "from dashboard.history.models import Rollup\n"
            "print(json.dumps(sum(Rollup.objects.values_list('success', flat=True))))"
        )
        return total


@pytest.fixture(scope="module")
def shape(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProductionStack]:
    directory: Path = tmp_path_factory.mktemp("production")
    with ExitStack() as stack:
        own = {
            "SWITCHGEAR_DATABASE_URL": stack.enter_context(postgres_server(directory)),
            "SWITCHGEAR_BUS_URL": stack.enter_context(redis_server(directory)),
            "SWITCHGEAR_SECRET_KEY": "for this test only, fifty characters or more of it",
            "SWITCHGEAR_STATIC_ROOT": str(directory / "static"),
        }
        port = free_port()
        shape = ProductionStack(f"http://127.0.0.1:{port}", own, None)  # type: ignore[arg-type]
        stack.callback(lambda: shape.shell.close())
        shape.manage("migrate", "-v0")
        (directory / "token").write_text(TOKEN)
        shape.manage("create_token", "shop", "--value-file", str(directory / "token"))
        web = ("uvicorn", "dashboard.asgi:application", "--port", str(port))
        stack.enter_context(running(*web, "--ws", "websockets-sansio", **own))
        stack.enter_context(running("celery", "-A", "dashboard", "worker", "-P", "solo", **own))
        beat = ("beat", "--schedule", str(directory / "beat"))
        stack.enter_context(running("celery", "-A", "dashboard", *beat, **own))
        shape.fleet = stack.enter_context(running("manage", "fleet", **own))
        eventually(lambda: http.get(f"{shape.url}/readyz").status_code == 200, 30)
        yield shape


def test_calls_are_counted_and_an_override_comes_back_and_expires(shape: ProductionStack) -> None:
    registry = Registry()
    posts = CircuitBreaker(name="posts", registry=registry)
    agent = start(service="shop", url=shape.url, token=TOKEN, registry=registry)
    try:
        for _ in range(100):
            posts.call(int)
        eventually(lambda: shape.counted() == 100, 20)

        shape.python(
            "from dashboard.access.people import keep_person\n"
            "from tests.operator_actions import force\n"
            "ops = keep_person('ops', 'operator')\n"
            "force(ops, 'shop', 'posts', 'forced_open', 'a drill', 8)\n"
            "print('true')"
        )
        eventually(lambda: posts.state == "forced_open", 5)
        with pytest.raises(CircuitForcedOpen):
            posts.call(int)
        acks = (
            "from dashboard.control.models import Ack\n"
            "print(json.dumps(list(Ack.objects.values_list('status', flat=True))))"
        )
        eventually(lambda: shape.python(acks) == ["applied"], 10)
        ended = (
            "from dashboard.control.models import Override\n"
            "print(json.dumps([o.ended_why for o in Override.objects.all()]))"
        )
        eventually(lambda: shape.python(ended) == ["expired"], 20)
        eventually(lambda: posts.state != "forced_open", 5)
    finally:
        agent.stop()


def test_celery_runs_a_what_if(shape: ProductionStack) -> None:
    shape.python(
        "import time\n"
        "from dashboard.access.people import keep_person\n"
        "from dashboard.history.models import Rollup\n"
        "from dashboard.policies.models import Replay\n"
        "end = int(time.time()) // 10 * 10 - 60\n"
        "Rollup.objects.create(service='shop', breaker='ads', start=end - 60, failure=100)\n"
        "ops = keep_person('ops', 'operator')\n"
        "asked = {'fields': {'failure_threshold': None}, 'instances': 4, 'person': ops}\n"
        "where = {'service': 'shop', 'breaker': 'ads', 'begins': end - 600, 'ends': end}\n"
        "Replay.objects.create(**asked, **where)\n"
        "print('true')"
    )
    done = (
        "from dashboard.policies.models import Replay\n"
        "print(json.dumps([[r.state, r.error, r.result.get('candidate', {}).get('failures')]"
        " for r in Replay.objects.all()]))"
    )
    eventually(lambda: shape.python(done) == [["done", "", 100]], 15, lambda: shape.python(done))


def test_a_killed_fleet_worker_loses_and_repeats_nothing(shape: ProductionStack) -> None:
    before = shape.counted()
    registry = Registry()
    users = CircuitBreaker(name="users", registry=registry)
    agent = start(service="shop", url=shape.url, token=TOKEN, registry=registry)
    try:
        for _ in range(50):
            users.call(int)
        shape.fleet.kill_everything()
        for _ in range(50):
            users.call(int)
        with running("manage", "fleet", **shape.own):
            eventually(lambda: shape.counted() == before + 100, 20)
    finally:
        agent.stop()
