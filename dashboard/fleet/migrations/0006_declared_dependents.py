from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('fleet', '0005_forgotten_instances'),
    ]

    operations = [
        migrations.AddField(
            model_name='service',
            name='dependents',
            field=models.JSONField(db_default=models.Value([], models.JSONField()), default=list),
        ),
        migrations.AddField(
            model_name='service',
            name='status_quorum',
            field=models.PositiveSmallIntegerField(db_default=1, default=1),
        ),
    ]
