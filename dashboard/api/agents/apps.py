from django.apps import AppConfig


class AgentsApiConfig(AppConfig):
    """The agents' door."""

    name = "dashboard.api.agents"
