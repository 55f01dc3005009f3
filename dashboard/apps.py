from django.apps import AppConfig


class DashboardConfig(AppConfig):
    """The composition root: no models, only what puts the rooms together."""

    name = "dashboard"
