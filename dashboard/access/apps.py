from django.apps import AppConfig


class AccessConfig(AppConfig):
    """People, roles, service tokens and the audit trail."""

    name = "dashboard.access"
