from django.apps import AppConfig

from dashboard.runtime import checks  # noqa: F401 - registers them


class DashboardConfig(AppConfig):
    """The composition root: no models, only what connects the packages."""

    name = "dashboard"
