"""The least and the most calls of ten seconds, kept at the coarse levels."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("history", "0005_recordings")]

    operations = [
        migrations.AddField(
            model_name=model,
            name=name,
            # Workers of the version before, which know nothing of it, go on while it is added.
            field=models.BigIntegerField(db_default=0),
        )
        for model in ("minuterollup", "hourrollup")
        for name in ("peak", "low")
    ]
