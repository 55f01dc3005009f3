"""What the beat runs for this room."""

from celery import shared_task

from dashboard.history import services


@shared_task
def prune() -> int:
    """Let go of history that is too old."""
    return services.prune()
