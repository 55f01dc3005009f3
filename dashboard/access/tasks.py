"""Periodic tasks of this app."""

from importlib import import_module

from celery import shared_task
from django.conf import settings

from dashboard.access import time_stamps


@shared_task
def sweep_sessions() -> None:
    """Delete expired sessions."""
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()


@shared_task
def stamp_audit_head() -> None:
    """Start to have the head of the audit chain time-stamped, if that is due."""
    time_stamps.start()
