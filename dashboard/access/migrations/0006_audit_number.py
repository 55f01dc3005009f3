from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("access", "0005_audit_chain"),
    ]

    operations = [
        migrations.AlterField("auditentry", "number", models.PositiveBigIntegerField(editable=False, unique=True)),
    ]
