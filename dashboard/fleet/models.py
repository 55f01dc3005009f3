"""What must outlive the process that watches the fleet."""

from django.db import models


class Service(models.Model):
    """A service that has reported, or that an operator has spoken of.

    `revision` numbers its desired state: a change of an override or a policy adds one in the
    same transaction.
    """

    name = models.CharField(max_length=120, unique=True)
    revision = models.PositiveBigIntegerField(default=0)
    created = models.DateTimeField(auto_now_add=True)
    # The services whose word counts for its status, and how many of them must agree.
    dependents = models.JSONField(default=list, db_default=models.Value([], models.JSONField()))
    status_quorum = models.PositiveSmallIntegerField(default=1, db_default=1)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Cursor(models.Model):
    """The highest report counted of one incarnation of an instance; what is older was counted
    already, but for the `gaps`, ranges from first to last."""

    service = models.CharField(max_length=120)
    instance = models.CharField(max_length=120)
    boot = models.CharField(max_length=120)
    seq = models.PositiveBigIntegerField()
    # Workers of the version before, which know nothing of it, go on while it is added.
    gaps = models.JSONField(default=list, db_default=models.Value([], models.JSONField()))
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["service", "instance", "boot"], name="one_cursor"),
        ]

    def __str__(self) -> str:
        return f"{self.service}/{self.instance} at {self.seq}"


class ForgottenInstance(models.Model):
    """An instance that an operator asked to forget. It is shown again with its next report."""

    service = models.CharField(max_length=120)
    instance = models.CharField(max_length=120)
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["service", "instance"], name="one_forgotten"),
        ]

    def __str__(self) -> str:
        return f"{self.service}/{self.instance}"


class Partition(models.Model):
    """Who may store what a partition of the log brings: the worker that was given this `epoch`.
    A worker that takes the partition over adds one; what comes with an older epoch is refused."""

    number = models.PositiveIntegerField(primary_key=True)
    epoch = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"partition {self.number}, epoch {self.epoch}"


class DeadLetter(models.Model):
    """A batch that the database refused for what is in it. Its reports count as received; `body` is
    what they held, as JSON, for a person to look at."""

    service = models.CharField(max_length=120)
    at = models.DateTimeField(auto_now_add=True)
    error = models.TextField()
    body = models.TextField()

    class Meta:
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"{self.service} at {self.at}"
