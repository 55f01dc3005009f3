"""The cost of evaluating alert rules, and what a flood of trips causes.

    python -m benchmarks.alerts                       # 5,000 breakers, 50 rules

5,000 breakers of 100 services, 4 instances each, under 50 rules: the default ones, and rules for
single services and names. All breakers trip at once. `tick_ms` is the longest evaluation of a tick
(collecting what has changed, and judging it), `first_message_s` the time from the trip to the first
message at a real local web server, `messages` how many arrive for two routes.

It ends with one line: `alerts breakers=<n> rules=<n> tick_ms=<n> first_message_s=<n> messages=<n>`.
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
import threading
import time
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import django

SERVICES, INSTANCES = 100, 4
_SETTLE_S = 3
# Ticks with the counts of a minute.
MINUTES = (1, 2, 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--breakers", type=int, default=5000)
    parser.add_argument("--rules", type=int, default=50)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        os.environ.update(
            DJANGO_SETTINGS_MODULE="dashboard.settings",
            SWITCHGEAR_SECRET_KEY="for this measurement only, fifty characters of it",
            SWITCHGEAR_DATABASE_URL=f"sqlite:///{Path(directory) / 'db.sqlite3'}",
            SWITCHGEAR_ALERTS_ALLOW_PRIVATE="1",
            SWITCHGEAR_LOG_LEVEL="ERROR",
        )
        django.setup()
        from django.core.management import call_command  # noqa: PLC0415 - after the settings

        call_command("migrate", verbosity=0)
        print(_measure(given.breakers, given.rules))


def _receiver(arrived: list[float]) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            arrived.append(time.perf_counter())
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def _measure(breakers: int, rules: int) -> str:
    # Django's models need the settings of `main`.
    from django.db import transaction  # noqa: PLC0415

    from dashboard.alerts import delivery, outbox, queries  # noqa: PLC0415
    from dashboard.alerts.evaluation import Evaluator  # noqa: PLC0415
    from dashboard.alerts.incidents import apply  # noqa: PLC0415
    from dashboard.alerts.models import Channel, Route, Rule  # noqa: PLC0415
    from dashboard.alerts.runner import Runner  # noqa: PLC0415
    from dashboard.bus.memory import MemoryBus  # noqa: PLC0415
    from dashboard.fleet.snapshot.store import FleetSnapshot  # noqa: PLC0415

    arrived: list[float] = []
    server = _receiver(arrived)
    url = f"http://127.0.0.1:{server.server_port}/"
    for name in ("one", "two"):
        channel = Channel.objects.create(name=name, kind="webhook", url=url, secret="s")
        Route.objects.create(name=name, channel=channel)
    for n in range(rules - Rule.objects.count()):
        narrowed = {"service": f"s{n}"} if n % 2 else {"breaker": f"b{n}*"}
        Rule.objects.create(
            name=f"rule {n}", kind="open_share", params={"share_pct": 50}, for_s=0, **narrowed
        )
    Rule.objects.filter(kind="open_share").update(for_s=0)
    fleet = FleetSnapshot(MemoryBus())
    runner = Runner(fleet)
    evaluator = runner.evaluator = Evaluator(queries.active_rules())
    start = time.time()
    ticks, trip_at = [], 0.0
    each_minute = {"success": 590, "failure": 10, "retry": 5}
    counts = {(f"s{s}", f"b{b}"): each_minute
              for s in range(SERVICES) for b in range(breakers // SERVICES)}  # fmt: skip
    for tick in range(_SETTLE_S * 2):
        is_down = tick >= _SETTLE_S
        if tick in {0, _SETTLE_S}:
            _lay(fleet, breakers, "open" if is_down else "closed", start + tick, tick + 1)
            gc.collect()
        trip_at = time.perf_counter() if tick == _SETTLE_S else trip_at
        began, worked_before = time.perf_counter(), time.process_time()
        for key, facts in runner.collect().items():
            evaluator.observe(key, facts)
        changes = evaluator.tick(start + tick)
        if tick in MINUTES:
            changes += evaluator.minute(start + tick, counts)
        ticks.append((time.perf_counter() - began) * 1000)
        worked = (time.process_time() - worked_before) * 1000
        with transaction.atomic():
            outcome = apply(changes, runner.graph(), runner.impact, start + tick)
            for incident in outcome.opened:
                outbox.announce(incident, "opened", start + tick)
        delivery.deliver_due(start + tick)
        print(
            f"tick {tick}: {ticks[-1]:.1f} ms, {worked:.1f} ms of processor time, "
            f"{len(changes)} changes", flush=True,
        )  # fmt: skip
    server.shutdown()
    first = arrived[0] - trip_at if arrived else float("nan")
    return (
        f"alerts breakers={breakers} rules={Rule.objects.count()} tick_ms={max(ticks):.0f} "
        f"first_message_s={first:.1f} messages={len(arrived)}"
    )


def _lay(fleet: Any, breakers: int, state: str, at: float, seq: int) -> None:
    names = [f"b{n}" for n in range(breakers // SERVICES)]
    for s in range(SERVICES):
        fleet.merge(frame(f"s{s}", names, state, at, seq))


def frame(
    service: str, names: Iterable[str], state: str, at: float, seq: int, version: str = "v1"
) -> dict[str, Any]:
    """A full frame of a service whose breakers are all in one state."""
    instances = [
        {"id": f"i{n}", "host": "h", "pid": n, "version": version, "zone": "eu", "seen_at": at,
         "stale": False, "revision": 0}
        for n in range(INSTANCES)
    ]  # fmt: skip
    return {
        "type": "frame", "service": service, "seq": seq, "at": at, "full": True,
        "interval_s": 1.0, "breakers": [_view(service, name, state, at) for name in names],
        "instances": instances, "removed": {"breakers": [], "instances": []},
        "over_capacity": {"instances": 0, "breakers": 0},
    }  # fmt: skip


def _view(service: str, name: str, state: str, at: float) -> dict[str, Any]:
    return {
        "service": service, "name": name, "state": state, "states": {state: INSTANCES},
        "instances": [
            {"id": f"i{n}", "state": state, "since_at": at, "cause": "", "in_flight": 0,
             "would_be_open": False, "stale": False}
            for n in range(INSTANCES)
        ],
        "last": None, "override": None, "outage": None, "rate": 1.0, "ran": 10, "failed": 0,
        "refused": 0, "failed_pct": 0.0, "p50_ms": 1.0, "p95_ms": 1.0, "p99_ms": 1.0,
        "counts": {"success": 10}, "spark": [0] * 60, "spark_err": [0] * 60,
    }  # fmt: skip


if __name__ == "__main__":
    main()
