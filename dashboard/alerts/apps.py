from django.apps import AppConfig


class AlertsConfig(AppConfig):
    """Alert rules, incidents, and the delivery of messages about them."""

    name = "dashboard.alerts"
