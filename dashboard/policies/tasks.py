"""What the beat runs for this room."""

from celery import shared_task

from dashboard.policies import services


@shared_task
def sweep_declared() -> int:
    """Drop what the code of breakers declared that are long gone."""
    return services.forget_undeclared()
