import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


def chain_existing_rows(apps, schema_editor):
    """Chain the rows that were written before. The head is signed with the first new row."""
    from dashboard.access import audit_chain

    entry, head = apps.get_model("access", "AuditEntry"), apps.get_model("access", "AuditHead")
    number, previous = 0, audit_chain.FIRST
    for row in entry.objects.order_by("at", "id").iterator():
        number += 1
        row.number, row.previous = number, previous
        row.detail = audit_chain._jsonable(row.detail)
        row.hash = previous = audit_chain.hash_of(row)
        row.save()
    if number:
        signature = audit_chain.sign(number, previous)
        head.objects.create(pk=1, number=number, hash=previous, signature=signature)


class Migration(migrations.Migration):

    dependencies = [
        ("access", "0004_teams_and_tokens"),
    ]

    operations = [
        migrations.CreateModel(
            name="AuditHead",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveBigIntegerField(default=0)),
                ("hash", models.CharField(default="0" * 64, max_length=64)),
                ("signature", models.CharField(default="", max_length=128)),
            ],
        ),
        migrations.AlterField("auditentry", "person", models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, to=settings.AUTH_USER_MODEL)),
        migrations.AlterField("auditentry", "at", models.DateTimeField(db_index=True, default=django.utils.timezone.now, editable=False)),
        migrations.AddField("auditentry", "address", models.CharField(blank=True, max_length=45, default=""), preserve_default=False),
        migrations.AddField("auditentry", "session", models.CharField(blank=True, max_length=24, default=""), preserve_default=False),
        migrations.AddField("auditentry", "number", models.PositiveBigIntegerField(editable=False, null=True)),
        migrations.AddField("auditentry", "previous", models.CharField(editable=False, max_length=64, default=""), preserve_default=False),
        migrations.AddField("auditentry", "hash", models.CharField(editable=False, max_length=64, default=""), preserve_default=False),
        migrations.RunPython(chain_existing_rows, migrations.RunPython.noop),
    ]
