from django.apps import AppConfig
from django.db.backends.signals import connection_created

from dashboard.history.sketches import teach_sqlite


class HistoryConfig(AppConfig):
    """What happened: rollups, transitions, and the series behind the charts."""

    name = "dashboard.history"

    def ready(self) -> None:
        connection_created.connect(teach_sqlite)
