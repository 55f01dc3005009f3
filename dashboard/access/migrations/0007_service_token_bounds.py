from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('access', '0006_audit_number'),
    ]

    operations = [
        migrations.AddField(
            model_name='servicetoken',
            name='expires',
            field=models.DateTimeField(blank=True, help_text='Empty: it does not expire.', null=True),
        ),
        migrations.AddField(
            model_name='servicetoken',
            name='instances',
            field=models.CharField(blank=True, help_text='Names of instances that may use it, separated by commas; `*` stands for any characters. Empty: every instance of the service.', max_length=500),
        ),
        migrations.AddField(
            model_name='servicetoken',
            name='last_used',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='servicetoken',
            name='last_address',
            field=models.CharField(blank=True, editable=False, max_length=45),
        ),
    ]
