"""Periodic tasks of this package."""

from celery import shared_task

from dashboard.fleet import services


@shared_task
def sweep_fleet() -> int:
    """Drop what is kept of processes that are long gone, and of trouble long past."""
    return services.forget_old_incarnations() + services.forget_old_letters()
