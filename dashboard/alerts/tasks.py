"""Periodic tasks of this app."""

import time

from celery import shared_task

from dashboard.alerts import outbox


@shared_task
def deliver_messages() -> int:
    """Deliver the messages that are due."""
    return outbox.deliver_due()


@shared_task
def sweep_messages() -> int:
    """Delete old messages and silences."""
    return outbox.forget_old(time.time())
