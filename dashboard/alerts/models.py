"""Alert rules, what they found, and the messages about it."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from dashboard.alerts.rule_kinds import KINDS, SEVERITIES
from dashboard.common.sealed_field import SealedField

_SEVERITY = [(each, each.capitalize()) for each in SEVERITIES]


class Rule(models.Model):
    """A condition on breakers that fires after it has held for `for_s` seconds.

    `params` are those of the kind (see `rule_kinds`). Service, breaker and tag are patterns in
    which `*` stands for any characters; empty ones match everything. A tag is a version or a zone.
    """

    name = models.CharField(max_length=80, unique=True)
    kind = models.CharField(
        max_length=40, choices=[(key, kind.title) for key, kind in KINDS.items()]
    )
    params = models.JSONField(default=dict, blank=True)
    for_s = models.FloatField(default=10.0)
    severity = models.CharField(max_length=10, choices=_SEVERITY, default="warning")
    service = models.CharField(max_length=120, blank=True)
    breaker = models.CharField(max_length=120, blank=True)
    tag = models.CharField(max_length=120, blank=True)
    team = models.ForeignKey("access.Team", null=True, blank=True, on_delete=models.CASCADE)
    enabled = models.BooleanField(default=True)
    changed = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Incident(models.Model):
    """Firings with one cause. Times are Unix seconds on the server's clock; `ended` is null while
    it lasts. `service` and `breaker` are the first cause, `why` the reasons for that, and `advice`
    is the action that would help most."""

    began = models.FloatField(db_index=True)
    ended = models.FloatField(null=True, db_index=True)
    calm_since = models.FloatField(null=True)
    severity = models.CharField(max_length=10, choices=_SEVERITY)
    service = models.CharField(max_length=120)
    breaker = models.CharField(max_length=120)
    headline = models.CharField(max_length=300)
    why = models.JSONField(default=list)
    advice = models.CharField(max_length=300, blank=True)
    acknowledged = models.FloatField(null=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    merged_into = models.ForeignKey("self", null=True, on_delete=models.SET_NULL)

    class Meta:
        ordering = ["-began", "-id"]

    def __str__(self) -> str:
        return self.headline


class Firing(models.Model):
    """A rule that holds on a breaker. `began` is when its condition began, `fired` when it had held
    for long enough. If it fires again in the same incident, the row goes on: `times` counts. What a
    rule has found stays when the rule is deleted, under the name that it had."""

    rule = models.ForeignKey(Rule, null=True, on_delete=models.SET_NULL)
    rule_name = models.CharField(max_length=80)
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="firings")
    service = models.CharField(max_length=120)
    breaker = models.CharField(max_length=120)
    began = models.FloatField()
    fired = models.FloatField()
    ended = models.FloatField(null=True, db_index=True)
    times = models.PositiveIntegerField(default=1)
    detail = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["began", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "service", "breaker"],
                condition=models.Q(ended=None),
                name="one_open_firing",
            )
        ]

    def __str__(self) -> str:
        return f"{self.rule_name}: {self.service}/{self.breaker}"


class IncidentEvent(models.Model):
    """A line of an incident's timeline: a symptom, an action, a note."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="events")
    at = models.FloatField()
    kind = models.CharField(max_length=20)
    by = models.CharField(max_length=150, blank=True)
    text = models.CharField(max_length=2000)

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return self.text


class Channel(models.Model):
    """Where messages go: an Apprise URL, or a signed webhook. `failing_since` is set while the last
    delivery failed."""

    name = models.CharField(max_length=80, unique=True)
    kind = models.CharField(
        max_length=10, choices=[("apprise", "Apprise URL"), ("webhook", "Signed webhook")]
    )
    # Both are encrypted: an Apprise URL has a token or a password in it.
    url = SealedField(max_length=1000)
    secret = SealedField(max_length=200, blank=True)
    enabled = models.BooleanField(default=True)
    failing_since = models.FloatField(null=True, editable=False)
    last_error = models.CharField(max_length=300, blank=True, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Route(models.Model):
    """Which incidents are sent to a channel. Between `quiet_from` and `quiet_to` (hours in
    `zone`) only critical ones. With `escalate_after_s` an incident is sent only if it is still not
    acknowledged after that time."""

    name = models.CharField(max_length=80, unique=True)
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE)
    team = models.ForeignKey("access.Team", null=True, blank=True, on_delete=models.CASCADE)
    service = models.CharField(max_length=120, blank=True)
    min_severity = models.CharField(max_length=10, choices=_SEVERITY, default="warning")
    quiet_from = models.PositiveSmallIntegerField(null=True, blank=True)
    quiet_to = models.PositiveSmallIntegerField(null=True, blank=True)
    zone = models.CharField(max_length=60, default="UTC")
    escalate_after_s = models.FloatField(default=0.0)
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Silence(models.Model):
    """No messages about matching breakers until `ends`. Incidents are still recorded."""

    service = models.CharField(max_length=120, blank=True)
    breaker = models.CharField(max_length=120, blank=True)
    reason = models.CharField(max_length=300)
    by = models.CharField(max_length=150)
    starts = models.FloatField()
    ends = models.FloatField()

    class Meta:
        ordering = ["-ends"]

    def __str__(self) -> str:
        return f"{self.service or '*'}/{self.breaker or '*'}"


class OutboxMessage(models.Model):
    """A message to deliver, stored in the transaction that caused it. `key` makes it unique."""

    key = models.CharField(max_length=200, unique=True)
    incident = models.ForeignKey(Incident, null=True, on_delete=models.CASCADE)
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE)
    kind = models.CharField(max_length=20)
    title = models.CharField(max_length=300)
    body = models.TextField()
    created = models.FloatField()
    due = models.FloatField(db_index=True)
    only_unacknowledged = models.BooleanField(default=False)
    attempts = models.PositiveIntegerField(default=0)
    claimed_until = models.FloatField(default=0.0)
    finished = models.FloatField(null=True, db_index=True)
    outcome = models.CharField(max_length=20, blank=True)
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["due", "id"]

    def __str__(self) -> str:
        return self.title


class Marker(models.Model):
    """A moment to show on charts and the timeline, such as a deploy. `at` is Unix time; `key` makes
    a repeated delivery harmless."""

    at = models.FloatField(db_index=True)
    kind = models.CharField(max_length=20, default="deploy")
    service = models.CharField(max_length=120, blank=True)
    version = models.CharField(max_length=120, blank=True)
    text = models.CharField(max_length=300)
    url = models.URLField(max_length=500, blank=True)
    by = models.CharField(max_length=150, blank=True)
    key = models.CharField(max_length=200, unique=True)

    class Meta:
        ordering = ["-at", "-id"]

    def __str__(self) -> str:
        return self.text


class EvaluationLease(models.Model):
    """Which process evaluates the rules. Times are Unix seconds."""

    name = models.CharField(max_length=20, primary_key=True)
    holder = models.CharField(max_length=80)
    until = models.FloatField()

    def __str__(self) -> str:
        return f"{self.holder} until {self.until}"
