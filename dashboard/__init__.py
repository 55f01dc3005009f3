"""The Django project: takes the agents' reports in, shows them live, takes operators' acts out."""

from dashboard.celery import app as celery_app

__all__ = ["celery_app"]
