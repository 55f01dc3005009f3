"""Celery application of the production shape. `dashboard.runtime.beat` runs the same tasks in the
embedded shape."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")

app = Celery("switchgear", include=["dashboard.runtime.celery_signals"])
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
