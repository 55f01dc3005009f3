from django.apps import AppConfig


class FleetConfig(AppConfig):
    """What is out there now: services, instances, breakers."""

    name = "dashboard.fleet"
