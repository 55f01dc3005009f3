from django.apps import AppConfig, apps
from django.db import connections
from django.db.models.signals import post_migrate


class AccessConfig(AppConfig):
    """People, roles, service tokens and the audit trail."""

    name = "dashboard.access"

    def ready(self) -> None:
        from dashboard.access import signals  # noqa: F401, PLC0415 - models load after apps

        # Permissions of every app exist only after the last one was migrated.
        post_migrate.connect(_after_migrate, dispatch_uid="access.roles")


def _after_migrate(sender: AppConfig, **kwargs: object) -> None:
    if sender.name == "dashboard.access":
        from dashboard.access import audit_triggers  # noqa: PLC0415 - likewise

        audit_triggers.create(connections[str(kwargs.get("using", "default"))])
    if sender.name == "dashboard.policies":
        from dashboard.access.roles import keep_roles  # noqa: PLC0415 - models load after apps

        keep_roles(apps)
