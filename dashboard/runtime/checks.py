"""What is not wrong, and hardly meant."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register


@register
def unknown_variables(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """Variables with our prefix that no setting is read from."""
    hint = "docs/guide/settings.md lists all there are."
    unknown = settings.VARIABLES.unknown()
    return [Warning(told, hint=hint, id="switchgear.W001") for told in unknown]


@register(Tags.security, deploy=True)
def single_process_database(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """Many processes on SQLite wait for one another at every write."""
    if settings.EMBEDDED or settings.DATABASES["default"]["ENGINE"].endswith("postgresql"):
        return []
    return [
        Warning(
            "SWITCHGEAR_BUS_URL names a Redis, for many processes, and SWITCHGEAR_DATABASE_URL a "
            "SQLite, which takes one writer at a time.",
            hint="Name a PostgreSQL: postgres://user:password@host:5432/name",
            id="switchgear.W002",
        )
    ]
