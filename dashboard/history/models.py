"""What happened: counts and latencies in buckets of three sizes, and every transition.

On PostgreSQL the tables of `dashboard.history.levels` are partitioned by time. Their primary keys
are what identifies a row, since those of a partitioned table must contain what it is divided by.
"""

from django.db import models

from dashboard.history.sketches import SketchField


class Bucket(models.Model):
    """One breaker over all instances in one bucket. `start` is Unix time; `sketch` holds the
    latencies, kept so that percentiles of any span are real ones."""

    pk = models.CompositePrimaryKey("service", "breaker", "start")
    service = models.CharField(max_length=120)
    breaker = models.CharField(max_length=120)
    start = models.BigIntegerField()
    success = models.BigIntegerField(default=0)
    failure = models.BigIntegerField(default=0)
    timeout = models.BigIntegerField(default=0)
    slow = models.BigIntegerField(default=0)
    ignored = models.BigIntegerField(default=0)
    rejected = models.BigIntegerField(default=0)
    bulkhead_full = models.BigIntegerField(default=0)
    retry = models.BigIntegerField(default=0)
    fallback = models.BigIntegerField(default=0)
    cache_hit = models.BigIntegerField(default=0)
    cache_miss = models.BigIntegerField(default=0)
    sketch = SketchField(default=list)
    sum_s = models.FloatField(default=0.0)

    class Meta:
        abstract = True
        indexes = [models.Index(fields=["start"], name="%(class)s_start")]

    def __str__(self) -> str:
        return f"{self.service}/{self.breaker} at {self.start}"


class Rollup(Bucket):
    """Ten seconds, the finest level."""

    class Meta(Bucket.Meta):
        db_table = "history_tenseconds"


class CoarseBucket(Bucket):
    """`low` and `peak` are the least and the most calls of ten seconds in it."""

    peak = models.BigIntegerField(db_default=0)
    low = models.BigIntegerField(db_default=0)

    class Meta(Bucket.Meta):
        abstract = True


class MinuteRollup(CoarseBucket):
    """A minute."""

    class Meta(CoarseBucket.Meta):
        abstract = False
        db_table = "history_minute"


class HourRollup(CoarseBucket):
    """An hour."""

    class Meta(CoarseBucket.Meta):
        abstract = False
        db_table = "history_hour"


class Rolled(models.Model):
    """Up to when a level holds what the level below it holds. `step_s` names the level."""

    step_s = models.IntegerField(primary_key=True)
    to = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.step_s} s up to {self.to}"


class Outage(models.Model):
    """A breaker's time from its first trip until no instance is open or half-open.

    Times are Unix seconds on the server's clock; `ended` is null while it lasts. `cause` and
    `instance` are those of the first trip. `failed_tests` and `passed_tests` are test calls since;
    `refused` counts the calls that the breaker did not let through. `ended_as` is "recovered",
    "overridden" (an operator took over) or "gone" (no instance is left). `open_at` names the
    instances that are still open, for the worker that takes over.
    """

    id = models.CharField(max_length=32, primary_key=True)
    service = models.CharField(max_length=120)
    breaker = models.CharField(max_length=120)
    began = models.FloatField()
    cause = models.CharField(max_length=500)
    instance = models.CharField(max_length=120)
    instances = models.IntegerField(default=0)
    failed_tests = models.BigIntegerField(default=0)
    passed_tests = models.BigIntegerField(default=0)
    refused = models.BigIntegerField(default=0)
    ended = models.FloatField(null=True)
    ended_as = models.CharField(max_length=20, blank=True)
    open_at = models.JSONField(default=dict)

    class Meta:
        ordering = ["-began", "id"]
        indexes = [
            models.Index(fields=["service", "breaker", "-began"], name="outage_breaker"),
            models.Index(fields=["-began"], name="outage_began"),
            models.Index(fields=["ended"], name="outage_ended"),
        ]

    def __str__(self) -> str:
        return f"{self.service}/{self.breaker} since {self.began}"


class Recording(models.Model):
    """Calls of one breaker at one instance, in the order in which they ended: one message of an
    agent. `entries` is packed by `dashboard.history.recordings`.

    `start` is the recording's own time zero (Unix), the same in all messages of an order; `begins`
    and `ends` are the first start and the last end of its calls. `reason` is "trip" or "asked",
    `order` the number of the trip or the id of the order, `first` the number of the first call.
    """

    service = models.CharField(max_length=120)
    breaker = models.CharField(max_length=120)
    instance = models.CharField(max_length=120)
    boot = models.CharField(max_length=120)
    reason = models.CharField(max_length=10)
    order = models.CharField(max_length=120)
    cause = models.CharField(max_length=500, blank=True)
    start = models.FloatField()
    begins = models.FloatField()
    ends = models.FloatField()
    first = models.BigIntegerField()
    lost = models.BigIntegerField(default=0)
    calls = models.IntegerField()
    entries = models.BinaryField()
    size = models.IntegerField()
    stored = models.FloatField()

    class Meta:
        ordering = ["begins", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["service", "breaker", "instance", "boot", "order", "first"],
                name="one_recording",
            ),
        ]
        indexes = [
            models.Index(fields=["service", "breaker", "reason", "begins"], name="recording_of"),
            models.Index(fields=["stored"], name="recording_stored"),
        ]

    def __str__(self) -> str:
        return f"{self.service}/{self.breaker}: {self.calls} calls at {self.instance}"


class Transition(models.Model):
    """A change of state at one instance. `at` is Unix time on the server's clock; `key` is a digest
    of service, breaker, instance, boot and number, by which one that is reported twice is
    recognised."""

    pk = models.CompositePrimaryKey("at", "key")
    at = models.FloatField()
    key = models.BigIntegerField()
    service = models.CharField(max_length=120)
    breaker = models.CharField(max_length=120)
    instance = models.CharField(max_length=120)
    boot = models.CharField(max_length=120)
    number = models.BigIntegerField()
    before = models.CharField(max_length=20)
    after = models.CharField(max_length=20)
    cause = models.CharField(max_length=500)
    window = models.JSONField(default=dict)

    class Meta:
        ordering = ["-at", "-number", "-key"]
        indexes = [
            models.Index(fields=["key"], name="transition_key"),
            models.Index(fields=["service", "breaker", "-at"], name="transition_breaker"),
        ]

    def __str__(self) -> str:
        return f"{self.service}/{self.breaker} {self.before} → {self.after}"
