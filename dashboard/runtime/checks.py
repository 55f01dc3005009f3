"""System checks: warnings about settings that are valid but probably unintended."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register


@register
def unknown_variables(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """Warn of variables with our prefix that no setting reads."""
    hint = "docs/guide/settings.md lists all settings."
    unknown = settings.VARIABLES.unknown()
    return [Warning(message, hint=hint, id="switchgear.W001") for message in unknown]


@register(Tags.security, deploy=True)
def single_process_database(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """Warn of SQLite with many processes, which wait for one another at every write."""
    if settings.EMBEDDED or settings.DATABASES["default"]["ENGINE"].endswith("postgresql"):
        return []
    return [
        Warning(
            "SWITCHGEAR_BUS_URL names a Redis, for many processes, and SWITCHGEAR_DATABASE_URL a "
            "SQLite database, which allows one writer at a time.",
            hint="Name a PostgreSQL: postgres://user:password@host:5432/name",
            id="switchgear.W002",
        )
    ]
