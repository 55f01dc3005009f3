from django.apps import AppConfig


class OperatorsApiConfig(AppConfig):
    """The REST API of operators, at /api/v1."""

    name = "dashboard.api.operators"
    label = "operators_api"
