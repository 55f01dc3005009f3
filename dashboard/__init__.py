"""The Django project: ingests reports, shows them live, and sends operators' acts to agents."""

from dashboard.celery import app as celery_app

__all__ = ["celery_app"]
