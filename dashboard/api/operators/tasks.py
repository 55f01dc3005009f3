"""Periodic tasks of this app."""

from celery import shared_task

from dashboard.api.operators.idempotency import delete_old_keys


@shared_task
def sweep_idempotency_keys() -> None:
    """Delete idempotency keys that have expired."""
    delete_old_keys()
