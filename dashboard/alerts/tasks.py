"""Periodic tasks of this app."""

import time

from celery import shared_task

from dashboard.alerts import delivery, outbox


@shared_task
def deliver_messages() -> None:
    """Start to deliver the messages that are due."""
    delivery.start()


@shared_task
def sweep_messages() -> int:
    """Delete old messages and silences."""
    return outbox.forget_old(time.time())
