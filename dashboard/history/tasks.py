"""Periodic tasks of history. Each may run twice, or twice at once."""

import time

from celery import shared_task

from dashboard.history import partitions, services


@shared_task
def roll_up() -> int:
    """Carry what has settled to the coarser levels."""
    return services.roll_up()


@shared_task
def make_partitions() -> int:
    """Make the partitions of the time to come."""
    return partitions.make_ahead(time.time())


@shared_task
def prune() -> int:
    """Let go of history that is too old."""
    return services.prune()
