"""Three levels of rollups instead of one, partitioned by time where the database can; what is there
is taken over."""

from django.db import migrations, models

import dashboard.history.sketches
from dashboard.history import (upserts, partitions, services)
from dashboard.history.levels import LEVELS, TRANSITIONS
from dashboard.history.migration_operations import CreatePartitionedModel
from dashboard.history.sketches import POSTGRES_FUNCTIONS, pack, write

_ROWS = 2000


def create_functions(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRES_FUNCTIONS, params=None)


def drop_functions(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP AGGREGATE sketch_sum(bigint[])", params=None)
        schema_editor.execute("DROP FUNCTION sketch_add(bigint[], bigint[])", params=None)


def _chunks(rows):
    chunk = []
    for row in rows.iterator(_ROWS):
        chunk.append(row)
        if len(chunk) == _ROWS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def take_over(apps, schema_editor):
    vendor = schema_editor.connection.vendor
    counts = upserts.BUCKET_COLUMNS[3:-2]
    for chunk in _chunks(apps.get_model("history", "OldRollup").objects.order_by("pk")):
        partitions.ensure(LEVELS[0], (row.start for row in chunk))
        upserts.add_buckets(
            LEVELS[0],
            [
                (
                    row.service,
                    row.breaker,
                    row.start,
                    *(getattr(row, name) for name in counts),
                    write(pack({int(i): n for i, n in row.buckets.items()}), vendor),
                    row.sum_s,
                )
                for row in chunk
            ],
        )
    for chunk in _chunks(apps.get_model("history", "OldTransition").objects.order_by("pk")):
        for row in chunk:
            row.id = row.number
        partitions.ensure(TRANSITIONS, (row.at for row in chunk))
        upserts.add_transitions(
            services.transition_row(services.digest(row), row) for row in chunk
        )


def columns():
    return [
        ("pk", models.CompositePrimaryKey("service", "breaker", "start", blank=True, editable=False, primary_key=True, serialize=False)),
        ("service", models.CharField(max_length=120)),
        ("breaker", models.CharField(max_length=120)),
        ("start", models.BigIntegerField()),
        ("success", models.BigIntegerField(default=0)),
        ("failure", models.BigIntegerField(default=0)),
        ("timeout", models.BigIntegerField(default=0)),
        ("slow", models.BigIntegerField(default=0)),
        ("ignored", models.BigIntegerField(default=0)),
        ("rejected", models.BigIntegerField(default=0)),
        ("bulkhead_full", models.BigIntegerField(default=0)),
        ("retry", models.BigIntegerField(default=0)),
        ("fallback", models.BigIntegerField(default=0)),
        ("cache_hit", models.BigIntegerField(default=0)),
        ("cache_miss", models.BigIntegerField(default=0)),
        ("sketch", dashboard.history.sketches.SketchField(default=list)),
        ("sum_s", models.FloatField(default=0.0)),
    ]


class Migration(migrations.Migration):

    dependencies = [
        ("history", "0001_initial"),
    ]

    operations = [
        migrations.RunPython(create_functions, drop_functions),
        migrations.RenameModel("Rollup", "OldRollup"),
        migrations.RenameModel("Transition", "OldTransition"),
        CreatePartitionedModel(
            name="Rollup",
            fields=columns(),
            options={
                "db_table": "history_tenseconds",
                "abstract": False,
                "indexes": [models.Index(fields=["start"], name="rollup_start")],
            },
            by="start",
        ),
        CreatePartitionedModel(
            name="MinuteRollup",
            fields=columns(),
            options={
                "db_table": "history_minute",
                "abstract": False,
                "indexes": [models.Index(fields=["start"], name="minuterollup_start")],
            },
            by="start",
        ),
        CreatePartitionedModel(
            name="HourRollup",
            fields=columns(),
            options={
                "db_table": "history_hour",
                "abstract": False,
                "indexes": [models.Index(fields=["start"], name="hourrollup_start")],
            },
            by="start",
        ),
        migrations.CreateModel(
            name="Rolled",
            fields=[
                ("step_s", models.IntegerField(primary_key=True, serialize=False)),
                ("to", models.BigIntegerField()),
            ],
        ),
        CreatePartitionedModel(
            name="Transition",
            fields=[
                ("pk", models.CompositePrimaryKey("at", "key", blank=True, editable=False, primary_key=True, serialize=False)),
                ("at", models.FloatField()),
                ("key", models.BigIntegerField()),
                ("service", models.CharField(max_length=120)),
                ("breaker", models.CharField(max_length=120)),
                ("instance", models.CharField(max_length=120)),
                ("boot", models.CharField(max_length=120)),
                ("number", models.BigIntegerField()),
                ("before", models.CharField(max_length=20)),
                ("after", models.CharField(max_length=20)),
                ("cause", models.CharField(max_length=500)),
                ("window", models.JSONField(default=dict)),
            ],
            options={
                "ordering": ["-at", "-number", "-key"],
                "indexes": [
                    models.Index(fields=["key"], name="transition_key"),
                    models.Index(fields=["service", "breaker", "-at"], name="transition_breaker"),
                ],
            },
            by="at",
        ),
        migrations.RunPython(take_over, migrations.RunPython.noop),
        migrations.DeleteModel("OldRollup"),
        migrations.DeleteModel("OldTransition"),
    ]
