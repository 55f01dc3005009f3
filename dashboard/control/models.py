"""Operators' overrides, and what each instance answered."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from dashboard.access.models import Person

FORCED_STATES = [
    ("forced_open", "Force open"),
    ("forced_closed", "Force closed"),
    ("metrics_only", "Metrics only"),
    ("forced_partial", "Limit to a share"),
]


class Override(models.Model):
    """A breaker forced to a state by an operator. Kept for ever; `ended` says when it stopped.

    `instances` None means every instance; `share` is what `forced_partial` lets through. At most
    one override of a breaker stands at a time: a new one ends the one before in the same
    transaction.
    """

    id = models.CharField(primary_key=True, max_length=32, editable=False)
    service = models.CharField(max_length=120)
    breaker = models.CharField(max_length=120)
    instances = models.JSONField(null=True, blank=True)
    state = models.CharField(max_length=20, choices=FORCED_STATES)
    share = models.FloatField(null=True, blank=True)
    reason = models.CharField(max_length=500)
    author = models.ForeignKey(Person, null=True, on_delete=models.SET_NULL, related_name="+")
    by = models.CharField(max_length=150)
    revision = models.PositiveBigIntegerField()
    created = models.DateTimeField(auto_now_add=True)
    expires = models.DateTimeField()
    ended = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(max_length=150, blank=True)
    ended_why = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-created"]
        permissions = [("operate", "Can force breakers and release them")]
        constraints = [
            models.UniqueConstraint(
                fields=["service", "breaker"], condition=Q(ended=None), name="one_standing_override"
            ),
        ]
        indexes = [models.Index(fields=["service", "breaker", "-created"])]

    def __str__(self) -> str:
        return f"{self.service}/{self.breaker} {self.state}"


class RecordingOrder(models.Model):
    """Record each call of a breaker (`*`: of every breaker of the service) until `expires`."""

    id = models.CharField(primary_key=True, max_length=32, editable=False)
    service = models.CharField(max_length=120)
    breaker = models.CharField(max_length=120)
    reason = models.CharField(max_length=500, blank=True)
    by = models.CharField(max_length=150)
    created = models.DateTimeField(auto_now_add=True)
    expires = models.DateTimeField()
    ended_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["-created"]
        indexes = [models.Index(fields=["service", "expires"], name="recording_order")]

    def __str__(self) -> str:
        return f"{self.service}/{self.breaker} until {self.expires}"


class Ack(models.Model):
    """What one instance said of one override, the latest time it spoke; `first` is when it spoke
    first."""

    override = models.ForeignKey(Override, on_delete=models.CASCADE, related_name="acks")
    instance = models.CharField(max_length=120)
    status = models.CharField(max_length=20)
    reason = models.CharField(max_length=500, blank=True)
    first = models.DateTimeField(default=timezone.now, editable=False)
    at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["override", "instance"], name="one_ack_an_instance"),
        ]

    def __str__(self) -> str:
        return f"{self.instance}: {self.status}"


class Act(models.Model):
    """One thing that an operator did to any number of breakers, under the id that their browser
    gave it: asked for twice, it is done once.

    `state` is a forced state, `automatic`, `reset`, or `undo` of the act that `undoes` names.
    """

    id = models.CharField(primary_key=True, max_length=36, editable=False)
    person = models.ForeignKey(Person, null=True, on_delete=models.SET_NULL, related_name="+")
    by = models.CharField(max_length=150)
    state = models.CharField(max_length=20)
    reason = models.CharField(max_length=500)
    targets = models.CharField(max_length=64, help_text="A hash of what it was asked for.")
    undoes = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="+")
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created"]

    def __str__(self) -> str:
        return f"{self.by}: {self.state}"


class ActPart(models.Model):
    """What an act did in one service, written in the transaction that did it.

    `changes` has for each breaker the override that was made and the one that ended for it.
    """

    act = models.ForeignKey(Act, on_delete=models.CASCADE, related_name="parts")
    service = models.CharField(max_length=120)
    changes = models.JSONField()
    kept = models.JSONField(default=list, help_text="Breakers left as they were, and why.")

    class Meta:
        ordering = ["service"]
        constraints = [
            models.UniqueConstraint(fields=["act", "service"], name="one_part_a_service"),
        ]

    def __str__(self) -> str:
        return f"{self.act_id} in {self.service}"


class PendingAct(models.Model):
    """An act that waits for a second person, under the id that its act will have. `targets` are
    triples of service, breaker and instances; `decision` is empty while it waits."""

    id = models.CharField(primary_key=True, max_length=36, editable=False)
    person = models.ForeignKey(Person, null=True, on_delete=models.SET_NULL, related_name="+")
    by = models.CharField(max_length=150)
    state = models.CharField(max_length=20)
    reason = models.CharField(max_length=500)
    targets = models.JSONField()
    expires_in_s = models.FloatField(null=True)
    share = models.FloatField(null=True)
    why = models.CharField(max_length=200)
    created = models.DateTimeField(auto_now_add=True, db_index=True)
    decision = models.CharField(max_length=20, blank=True)
    decided = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["-created"]

    def __str__(self) -> str:
        return f"{self.by}: {self.state}, {self.decision or 'pending'}"


class Drill(models.Model):
    """A fault to inject into calls of a breaker, saved under a name. `share` is of the calls,
    `seconds` how long it takes; `instances` None means every instance."""

    name = models.CharField(max_length=120, unique=True)
    service = models.CharField(max_length=120)
    breaker = models.CharField(max_length=120)
    kind = models.CharField(max_length=20)
    share = models.FloatField()
    latency_s = models.FloatField()
    seconds = models.FloatField()
    instances = models.JSONField(null=True, blank=True)
    by = models.CharField(max_length=150)
    changed = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class DrillRun(models.Model):
    """One run of a drill, with the fault as it was then. `ended_by` is set if it was stopped."""

    id = models.CharField(primary_key=True, max_length=32, editable=False)
    name = models.CharField(max_length=120)
    service = models.CharField(max_length=120)
    breaker = models.CharField(max_length=120)
    kind = models.CharField(max_length=20)
    share = models.FloatField()
    latency_s = models.FloatField()
    instances = models.JSONField(null=True, blank=True)
    reason = models.CharField(max_length=500)
    by = models.CharField(max_length=150)
    created = models.DateTimeField(auto_now_add=True)
    expires = models.DateTimeField()
    ended_by = models.CharField(max_length=150, blank=True)

    class Meta:
        ordering = ["-created"]
        indexes = [models.Index(fields=["service", "expires"], name="drill_run")]

    def __str__(self) -> str:
        return f"{self.name} at {self.created}"


class DrillAck(models.Model):
    """What one instance said of one run."""

    run = models.ForeignKey(DrillRun, on_delete=models.CASCADE, related_name="acks")
    instance = models.CharField(max_length=120)
    status = models.CharField(max_length=20)
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "instance"], name="one_drill_ack_an_instance"),
        ]

    def __str__(self) -> str:
        return f"{self.instance}: {self.status}"
