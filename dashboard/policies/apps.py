from django.apps import AppConfig


class PoliciesConfig(AppConfig):
    """Versions of the policies that replace what code declares."""

    name = "dashboard.policies"
