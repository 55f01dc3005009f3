from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('fleet', '0004_room_in_pages'),
    ]

    operations = [
        migrations.CreateModel(
            name='ForgottenInstance',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('service', models.CharField(max_length=120)),
                ('instance', models.CharField(max_length=120)),
                ('at', models.DateTimeField()),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('service', 'instance'), name='one_forgotten')],
            },
        ),
    ]
