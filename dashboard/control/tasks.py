"""Periodic tasks of this package."""

from celery import shared_task

from dashboard.control import kill_path, services


@shared_task
def expire_overrides() -> int:
    """End the overrides whose time is over."""
    return services.expire_due()


@shared_task
def sweep_acks() -> int:
    """Drop answers to overrides of long ago."""
    return services.forget_old_acks()


@shared_task
def drill_kill_path() -> int:
    """Drill the kill path of each service that was not drilled for a day."""
    return kill_path.drill_due()
