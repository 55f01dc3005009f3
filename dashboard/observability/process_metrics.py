"""What each role of the dashboard has to tell of itself, and the port where those without a web
face tell it."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from django.conf import settings
from prometheus_client import make_wsgi_app

from dashboard.bus import bus
from dashboard.fleet.snapshot.process import mirror
from dashboard.fleet.worker import FleetWorker
from dashboard.observability import metrics as telemetry

logger = logging.getLogger("switchgear")
# So many ticks late at least is a worker that does not tick.
_TICKS_ALLOWED: Final = 20
# Connections to the metrics port at once, and how long one may be silent.
_CONNECTIONS: Final = 32
_IDLE_S: Final = 2.0
_StartResponse = Callable[[str, list[tuple[str, str]]], Any]


def watch_web() -> None:
    """What a web process tells."""
    telemetry.watch(
        "log_unsafe_messages",
        "Messages taken by this process that the fleet has not stored yet",
        bus().depth,
    )
    telemetry.watch(
        "commands_pending",
        "Instances that have not confirmed an override yet",
        lambda: sum(
            len(view["override"]["pending"])
            for service in mirror().services.values()
            for view in service.breakers.values()
            if view["override"]
        ),
    )
    telemetry.watch("services", "Services known", lambda: len(mirror().services))
    telemetry.watch(
        "instances",
        "Instances known",
        lambda: sum(len(service.instances) for service in mirror().services.values()),
    )


def watch_worker(worker: FleetWorker) -> None:
    """What a fleet worker tells."""
    telemetry.watch(
        "log_lag_seconds", "Age of what the fleet worker read last", lambda: worker.lag_s
    )
    telemetry.watch(
        "duplicate_reports",
        "Reports that came again, and were not counted again, since the fleet worker started",
        lambda: worker.state.duplicates,
    )
    telemetry.watch(
        "dead_letters",
        "Batches that the database refused and that were put aside",
        lambda: worker.checkpoints.dead_letters,
    )
    telemetry.watch(
        "tick_age_seconds",
        "Since the fleet worker emitted last",
        lambda: time.monotonic() - worker.last_tick if worker.last_tick else 0.0,
    )


def does_not_tick(worker: FleetWorker | None) -> bool:
    """Whether a fleet worker is stuck, or not there."""
    late = time.monotonic() - worker.last_tick if worker else float("inf")
    return late > settings.TICK_S * _TICKS_ALLOWED


def serve(what_is_wrong: Callable[[], str]) -> None:
    """Answer `/metrics` and `/healthz` on SWITCHGEAR_METRICS_PORT, in a thread of its own, where
    that is set. Unprotected: SWITCHGEAR_METRICS_HOST says who gets to it."""
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
    """A thread for each connection, and a bound on how many there are: one that is idle, or many,
    keep nobody from `/healthz`."""

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
