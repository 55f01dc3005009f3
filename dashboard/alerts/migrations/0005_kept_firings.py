"""Firings outlive their rule, under its name; incidents have advice; a rule on policies is added."""

from typing import Any

import django.db.models.deletion
from django.db import migrations, models

from dashboard.alerts.rule_kinds import KINDS


def name_firings(apps: Any, editor: Any) -> None:
    firings = apps.get_model("alerts", "Firing").objects
    for rule in apps.get_model("alerts", "Rule").objects.all():
        firings.filter(rule=rule).update(rule_name=rule.name)


def add_rule(apps: Any, editor: Any) -> None:
    apps.get_model("alerts", "Rule").objects.get_or_create(
        name="Policy not applied",
        defaults={
            "kind": "policy_not_applied",
            "severity": "warning",
            "for_s": KINDS["policy_not_applied"].for_s,
        },
    )


class Migration(migrations.Migration):
    dependencies = [("alerts", "0004_sealed_channels")]
    operations = [
        migrations.AddField(
            "incident", "advice", models.CharField(blank=True, default="", max_length=300),
            preserve_default=False,
        ),
        migrations.AddField(
            "firing", "rule_name", models.CharField(default="", max_length=80),
            preserve_default=False,
        ),
        migrations.AlterField(
            "firing",
            "rule",
            models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.SET_NULL, to="alerts.rule"
            ),
        ),
        migrations.AlterField(
            "rule",
            "kind",
            models.CharField(
                choices=[(key, kind.title) for key, kind in KINDS.items()], max_length=40
            ),
        ),
        migrations.RunPython(name_firings, migrations.RunPython.noop),
        migrations.RunPython(add_rule, migrations.RunPython.noop),
    ]
