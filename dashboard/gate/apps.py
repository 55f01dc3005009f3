from django.apps import AppConfig


class GateConfig(AppConfig):
    """The agents' door."""

    name = "dashboard.gate"
