"""Every row of a cursor is written each second. With free space in its page the new version stays
there, no index is touched, and the old one is cleared away without a vacuum."""

from django.db import migrations


def leave_room(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE fleet_cursor SET (fillfactor = 40)")


class Migration(migrations.Migration):

    dependencies = [
        ('fleet', '0003_gaps'),
    ]

    operations = [migrations.RunPython(leave_room, migrations.RunPython.noop)]
