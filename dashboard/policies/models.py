"""Policies that replace what code declares: a head for each scope, and its versions."""

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from dashboard.access.models import Person


class BreakerPolicy(models.Model):
    """A scope that a policy can be set for: one breaker, all breakers of a service (`breaker` is
    empty), or the whole fleet (both are empty).

    `declared` is what the code of a breaker declares, as last reported; `heard` is when somebody
    last reported it, give or take a day. `honours` are the fields that calls obey; None is all.
    `number` is that of the newest version.
    """

    service = models.CharField(max_length=120, blank=True)
    breaker = models.CharField(max_length=120, blank=True)
    declared = models.JSONField(default=dict, blank=True, editable=False)
    honours = models.JSONField(null=True, blank=True, editable=False)
    fields = models.JSONField(default=dict, blank=True)
    number = models.PositiveIntegerField(default=0, editable=False)
    # Workers of the version before, which know nothing of it, go on while it is added.
    heard = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)

    class Meta:
        ordering = ["service", "breaker"]
        verbose_name = "policy"
        verbose_name_plural = "policies"
        constraints = [
            models.UniqueConstraint(
                fields=["service", "breaker"],
                name="one_policy_a_breaker",
                violation_error_message="There is a policy for this breaker: change that one.",
            ),
        ]

    def __str__(self) -> str:
        if not self.service:
            return "fleet default"
        return f"{self.service}/{self.breaker}" if self.breaker else f"all of {self.service}"


class PolicyVersion(models.Model):
    """One saved policy. Never changed; the newest is in force."""

    policy = models.ForeignKey(BreakerPolicy, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    fields = models.JSONField(default=dict)
    diff = models.JSONField(default=dict)
    author = models.ForeignKey(Person, null=True, on_delete=models.SET_NULL, related_name="+")
    by = models.CharField(max_length=150)
    reason = models.CharField(max_length=500, blank=True)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["policy", "number"], name="one_version_a_number"),
        ]

    def __str__(self) -> str:
        return f"{self.policy} v{self.number}"


class ScheduledChange(models.Model):
    """A policy that comes into force at `starts` and, if it has an end, gives way to the version
    before it at `ends`."""

    policy = models.ForeignKey(BreakerPolicy, on_delete=models.CASCADE, related_name="scheduled")
    fields = models.JSONField(default=dict)
    reason = models.CharField(max_length=500, blank=True)
    author = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+")
    starts = models.DateTimeField()
    ends = models.DateTimeField(null=True, blank=True)
    version = models.ForeignKey(
        PolicyVersion, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    done = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["starts"]
        indexes = [models.Index(fields=["done", "starts"], name="scheduled_due")]

    def __str__(self) -> str:
        return f"{self.policy} from {self.starts:%Y-%m-%d %H:%M}"


class Refusal(models.Model):
    """An instance that refused the policy in force, and why. Gone once it applies one."""

    service = models.CharField(max_length=120)
    breaker = models.CharField(max_length=120)
    instance = models.CharField(max_length=120)
    revision = models.PositiveBigIntegerField()
    reason = models.CharField(max_length=500)
    at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["service", "breaker", "instance"]
        constraints = [
            models.UniqueConstraint(
                fields=["service", "breaker", "instance"], name="one_refusal_an_instance"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.instance} refused {self.service}/{self.breaker}"


class Rollout(models.Model):
    """A candidate that is in force on some instances of a breaker, compared with the others.

    `selector` names the instances: see `breakers.protocol.messages.Selector`. `test` is the state
    of the sequential test; `arms` are the counts of each instance at its last look.
    """

    RUNNING, PROMOTED, HALTED, STOPPED = "running", "promoted", "halted", "stopped"

    policy = models.ForeignKey(BreakerPolicy, on_delete=models.CASCADE, related_name="rollouts")
    fields = models.JSONField(default=dict)
    selector = models.JSONField(default=dict)
    base = models.PositiveIntegerField(default=0)
    author = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+")
    by = models.CharField(max_length=150)
    reason = models.CharField(max_length=500, blank=True)
    promotes = models.BooleanField(default=True)
    measures_until = models.DateTimeField(
        null=True, help_text="Until then its instances refuse nothing, and it is not promoted."
    )
    started = models.DateTimeField(auto_now_add=True)
    ended = models.DateTimeField(null=True)
    state = models.CharField(max_length=20, default=RUNNING)
    sentence = models.CharField(max_length=500, blank=True)
    test = models.JSONField(default=dict)
    looks = models.JSONField(default=list)

    class Meta:
        ordering = ["-started"]
        constraints = [
            models.UniqueConstraint(
                fields=["policy"],
                condition=models.Q(state="running"),
                name="one_rollout_a_policy",
                violation_error_message="A rollout of this policy is running: stop it first.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.policy}: {self.state}"


class RolloutArm(models.Model):
    """Calls and failures of one instance since a rollout began; written with each checkpoint."""

    rollout = models.ForeignKey(Rollout, on_delete=models.CASCADE, related_name="arms")
    instance = models.CharField(max_length=120)
    version = models.CharField(max_length=500, blank=True)
    zone = models.CharField(max_length=500, blank=True)
    tags = models.JSONField(default=list)
    calls = models.BigIntegerField(default=0)
    failures = models.BigIntegerField(default=0)
    at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["rollout", "instance"], name="one_arm_an_instance"),
        ]

    def __str__(self) -> str:
        return f"{self.instance}: {self.failures} of {self.calls} failed"


class Incident(models.Model):
    """A range of one breaker's history, saved to be replayed against candidates.

    `traffic` is what the replay needs, so that retention does not take it away; `actual` has the
    figures of the policy that was in force.
    """

    name = models.CharField(max_length=120, unique=True)
    service = models.CharField(max_length=120)
    breaker = models.CharField(max_length=120)
    begins = models.FloatField()
    ends = models.FloatField()
    traffic = models.JSONField()
    policy = models.JSONField(default=dict)
    by = models.CharField(max_length=150)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["service", "breaker", "name"]

    def __str__(self) -> str:
        return self.name


class Replay(models.Model):
    """A what-if: queued, running, done, failed or cancelled. `progress` is a share; `source` says
    whether rollups of history or recordings of calls are replayed."""

    QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"
    HISTORY, RECORDINGS = "history", "recordings"

    source = models.CharField(max_length=20, default=HISTORY)
    service = models.CharField(max_length=120)
    breaker = models.CharField(max_length=120)
    fields = models.JSONField(default=dict)
    begins = models.FloatField()
    ends = models.FloatField()
    # Counted when it was asked for: the worker that runs it does not follow the fleet.
    instances = models.PositiveIntegerField(default=1)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+")
    state = models.CharField(max_length=20, default=QUEUED)
    progress = models.FloatField(default=0.0)
    result = models.JSONField(default=dict)
    error = models.CharField(max_length=500, blank=True)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created"]

    def __str__(self) -> str:
        return f"{self.service}/{self.breaker}: {self.state}"


class AppliedDocument(models.Model):
    """A document that was applied as a whole, as from git: drift is measured from it.

    `scopes` are triples of service, breaker and fields, of every scope that it was the truth of.
    """

    scopes = models.JSONField()
    reason = models.CharField(max_length=500, blank=True)
    by = models.CharField(max_length=150)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"applied {self.created:%Y-%m-%d %H:%M} by {self.by}"
