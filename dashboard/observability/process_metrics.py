"""Gauges of each kind of process, and the metrics port of processes that serve no pages."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from socketserver import ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from django.conf import settings
from prometheus_client import make_wsgi_app

from dashboard.bus import bus
from dashboard.fleet.snapshot.process import fleet_snapshot
from dashboard.fleet.worker import FleetWorker
from dashboard.observability import metrics as telemetry

logger = logging.getLogger("switchgear")
# A worker counts as stuck after this many missed ticks.
_TICKS_ALLOWED: Final = 20
# Connections to the metrics port at once, and how long one may be silent.
_CONNECTIONS: Final = 32
_IDLE_S: Final = 2.0
_StartResponse = Callable[[str, list[tuple[str, str]]], Any]


def add_web_gauges() -> None:
    """Register the gauges of a web process."""
    telemetry.add_gauge(
        "log_unsafe_messages",
        "Messages accepted by this process that the fleet worker has not stored yet",
        bus().depth,
    )
    telemetry.add_gauge(
        "commands_pending",
        "Instances that have not confirmed an override yet",
        lambda: sum(
            len(view["override"]["pending"])
            for service in fleet_snapshot().services.values()
            for view in service.breakers.values()
            if view["override"]
        ),
    )
    telemetry.add_gauge(
        "breakers_open",
        "Breakers that are open on at least one instance, by themselves or by an override",
        lambda: _in_states("open", "forced_open"),
    )
    telemetry.add_gauge(
        "breakers_forced",
        "Breakers under an override",
        lambda: sum(
            view["override"] is not None
            for service in list(fleet_snapshot().services.values())
            for view in list(service.breakers.values())
        ),
    )
    for name, help, limit in (
        ("api_rate_limit", "Requests a minute that one caller may send", settings.API_RATE),
        (
            "api_address_rate_limit",
            "Requests a minute that one address may send without a valid token",
            settings.API_ADDRESS_RATE,
        ),
    ):
        telemetry.add_gauge(name, help, partial(float, limit))
    telemetry.add_gauge("services", "Services known", lambda: len(fleet_snapshot().services))
    telemetry.add_gauge(
        "instances",
        "Instances known",
        lambda: sum(len(service.instances) for service in fleet_snapshot().services.values()),
    )


def _in_states(*states: str) -> int:
    return sum(
        any(view["states"].get(each) for each in states)
        for service in list(fleet_snapshot().services.values())
        for view in list(service.breakers.values())
    )


def add_worker_gauges(worker: FleetWorker) -> None:
    """Register the gauges of a fleet worker."""
    telemetry.add_gauge(
        "log_lag_seconds",
        "Age of the last message that the fleet worker read",
        lambda: worker.lag_s,
    )
    telemetry.add_gauge(
        "duplicate_reports",
        "Repeated reports that were not counted again since the fleet worker started",
        lambda: worker.state.duplicates,
    )
    telemetry.add_gauge(
        "dead_letters",
        "Batches that the database refused, stored as dead letters",
        lambda: worker.checkpoints.dead_letters,
    )
    telemetry.add_gauge(
        "tick_age_seconds",
        "Time since the fleet worker last emitted frames",
        lambda: time.monotonic() - worker.last_tick if worker.last_tick else 0.0,
    )


def does_not_tick(worker: FleetWorker | None) -> bool:
    """Whether a fleet worker is stuck or missing."""
    late = time.monotonic() - worker.last_tick if worker else float("inf")
    return late > settings.TICK_S * _TICKS_ALLOWED


def serve(what_is_wrong: Callable[[], str]) -> None:
    """Serve `/metrics` and `/healthz` on SWITCHGEAR_METRICS_PORT, if set, in a separate thread.
    Unauthenticated: SWITCHGEAR_METRICS_HOST restricts who can connect."""
    if not settings.METRICS_PORT:
        return
    metrics = make_wsgi_app(telemetry.registry)

    def answer(environ: dict[str, Any], start: _StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/metrics":
            found: Iterable[bytes] = metrics(environ, start)
            return found
        if environ["PATH_INFO"] != "/healthz":
            start("404 Not Found", [("content-type", "text/plain")])
            return [b"there are /metrics and /healthz\n"]
        wrong = what_is_wrong()
        start(
            "503 Service Unavailable" if wrong else "200 OK", [("content-type", "application/json")]
        )
        return [json.dumps({"status": wrong or "ok"}).encode()]

    server = make_server(
        settings.METRICS_HOST, settings.METRICS_PORT, answer, _ThreadedServer, _Handler
    )
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    logger.info("metrics are at %s:%d", settings.METRICS_HOST, settings.METRICS_PORT)


class _ThreadedServer(ThreadingMixIn, WSGIServer):
    """One thread a connection, with a bound on connections: idle ones do not block `/healthz`."""

    daemon_threads = True
    _slots = threading.BoundedSemaphore(_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._slots.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._slots.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()


class _Handler(WSGIRequestHandler):
    timeout = _IDLE_S

    def handle(self) -> None:
        with contextlib.suppress(TimeoutError, ConnectionError):
            super().handle()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Scrapes are not logged."""
