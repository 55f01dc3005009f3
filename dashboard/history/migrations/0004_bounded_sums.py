"""Sums of sketches stop at a bound, so that no row can make a sum fail."""

from django.db import migrations

from dashboard.history.sketches import POSTGRES_ADD


def bound(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRES_ADD, params=None)


class Migration(migrations.Migration):

    dependencies = [("history", "0003_outages")]

    operations = [migrations.RunPython(bound, migrations.RunPython.noop)]
