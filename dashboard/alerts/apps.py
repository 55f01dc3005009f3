from django.apps import AppConfig


class AlertsConfig(AppConfig):
    """Alert rules, incidents, and the delivery of messages about them."""

    name = "dashboard.alerts"

    def ready(self) -> None:
        """Markers are on the timeline."""
        from dashboard.alerts import marker_events  # noqa: F401, PLC0415 - models load after apps
