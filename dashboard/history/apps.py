from django.apps import AppConfig


class HistoryConfig(AppConfig):
    """What happened: rollups, transitions, and the series behind the charts."""

    name = "dashboard.history"
