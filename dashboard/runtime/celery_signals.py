"""Celery signal handlers: health endpoints of a worker, and the task id in every log line.

`dashboard.celery` lists this module in `include`."""

from __future__ import annotations

from typing import Any

import structlog
from celery.signals import task_postrun, task_prerun, worker_ready

from dashboard.observability.process_metrics import serve


@worker_ready.connect
def serve_metrics(**_: Any) -> None:
    """Serve `/metrics` and `/healthz`, if a port is set."""
    serve(lambda: "")


@task_prerun.connect
def begin(task_id: str, task: Any, **_: Any) -> None:
    """Add the task to the log lines from now on."""
    structlog.contextvars.bind_contextvars(task_id=task_id, task=task.name)


@task_postrun.connect
def end(**_: Any) -> None:
    """Remove the task from the log lines."""
    structlog.contextvars.unbind_contextvars("task_id", "task")
