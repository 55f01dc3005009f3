"""Policies that replace what code declares: a head for each breaker, and its versions."""

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from dashboard.access.models import Person


class BreakerPolicy(models.Model):
    """A breaker that a policy can be set for. `declared` is what its code says, last we heard;
    `heard` is when somebody last reported it, give or take a day."""

    service = models.CharField(max_length=120)
    breaker = models.CharField(max_length=120)
    declared = models.JSONField(default=dict, blank=True, editable=False)
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
        return f"{self.service}/{self.breaker}"


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
