"""What the beat runs for this room."""

from celery import shared_task

from dashboard.fleet import services


@shared_task
def forget_old_lives() -> int:
    """Drop the cursors of processes that are long gone."""
    return services.forget_old_lives()
