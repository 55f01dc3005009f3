"""What happened: counts and latencies in buckets of ten seconds, and every transition."""

from django.db import models


class Rollup(models.Model):
    """One breaker over all instances in one bucket. `start` is Unix time; `buckets` is a sparse
    sketch of `breakers.histogram`, kept so that percentiles of any span are real ones."""

    service = models.CharField(max_length=120)
    breaker = models.CharField(max_length=120)
    start = models.BigIntegerField()
    success = models.PositiveBigIntegerField(default=0)
    failure = models.PositiveBigIntegerField(default=0)
    timeout = models.PositiveBigIntegerField(default=0)
    slow = models.PositiveBigIntegerField(default=0)
    ignored = models.PositiveBigIntegerField(default=0)
    rejected = models.PositiveBigIntegerField(default=0)
    bulkhead_full = models.PositiveBigIntegerField(default=0)
    retry = models.PositiveBigIntegerField(default=0)
    fallback = models.PositiveBigIntegerField(default=0)
    cache_hit = models.PositiveBigIntegerField(default=0)
    cache_miss = models.PositiveBigIntegerField(default=0)
    buckets = models.JSONField(default=dict)
    sum_s = models.FloatField(default=0.0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["service", "breaker", "start"], name="one_rollup"),
        ]
        indexes = [models.Index(fields=["start"])]

    def __str__(self) -> str:
        return f"{self.service}/{self.breaker} at {self.start}"


class Transition(models.Model):
    """A change of state at one instance. `at` is Unix time on the server's clock."""

    service = models.CharField(max_length=120)
    breaker = models.CharField(max_length=120)
    instance = models.CharField(max_length=120)
    boot = models.CharField(max_length=120)
    number = models.PositiveBigIntegerField()
    at = models.FloatField()
    before = models.CharField(max_length=120)
    after = models.CharField(max_length=120)
    cause = models.CharField(max_length=500)
    window = models.JSONField(default=dict)

    class Meta:
        ordering = ["-at"]
        constraints = [
            models.UniqueConstraint(
                fields=["service", "breaker", "instance", "boot", "number"],
                name="one_transition",
            ),
        ]
        indexes = [models.Index(fields=["service", "breaker", "-at"])]

    def __str__(self) -> str:
        return f"{self.service}/{self.breaker} {self.before} → {self.after}"
