from django.apps import AppConfig


class AgentsApiConfig(AppConfig):
    """The agents' API: reports in, desired states out."""

    name = "dashboard.api.agents"
