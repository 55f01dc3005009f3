from django.apps import AppConfig


class ControlConfig(AppConfig):
    """Operators' overrides and the instances' acknowledgements."""

    name = "dashboard.control"
