"""Addresses and secrets of channels are encrypted."""

from typing import Any

from django.db import migrations

from dashboard.common.sealed_field import SealedField


def encrypt(apps: Any, editor: Any) -> None:
    for channel in apps.get_model("alerts", "Channel").objects.all():
        channel.save(update_fields=["url", "secret"])


class Migration(migrations.Migration):
    dependencies = [("alerts", "0003_firing_times")]
    operations = [
        migrations.AlterField("channel", "url", SealedField(max_length=1000)),
        migrations.AlterField("channel", "secret", SealedField(blank=True, max_length=200)),
        migrations.RunPython(encrypt, migrations.RunPython.noop),
    ]
