"""The task runner of the production shape; `dashboard.beat` runs the same tasks in one process."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")

app = Celery("switchgear")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
