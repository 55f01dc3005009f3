"""What the beat runs for this room."""

from importlib import import_module

from celery import shared_task
from django.conf import settings


@shared_task
def sweep_sessions() -> None:
    """Drop the sessions of who has not come for so long that they must log in again."""
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
