"""The rules that are on from the start."""

from typing import Any

from django.db import migrations

from dashboard.alerts.rule_kinds import DEFAULT_RULES, KINDS, params_of


def add(apps: Any, editor: Any) -> None:
    rules = apps.get_model("alerts", "Rule")
    for name, kind, severity, params in DEFAULT_RULES:
        rules.objects.get_or_create(
            name=name,
            defaults={
                "kind": kind,
                "params": params_of(kind, params),
                "severity": severity,
                "for_s": KINDS[kind].for_s,
            },
        )


class Migration(migrations.Migration):
    dependencies = [("alerts", "0001_initial")]
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
