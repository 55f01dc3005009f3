"""People, service tokens and the audit trail."""

from typing import ClassVar

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils import timezone


class Person(AbstractUser):
    """A user account."""

    class Meta:
        verbose_name = "person"
        verbose_name_plural = "people"


class Team(models.Model):
    """A group of people that owns services. Its permissions are granted to people as object
    permissions of django-guardian; the same permissions granted without a team hold for all
    services (see `roles.py` and `authority.py`)."""

    name = models.CharField(max_length=80, unique=True)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        permissions = [
            ("view_services", "Can see services"),
            ("operate_services", "Can override breakers"),
            ("edit_policies", "Can change policies"),
            ("administer_services", "Can manage tokens and members"),
        ]

    def __str__(self) -> str:
        return self.name


class TeamService(models.Model):
    """A service that a team owns: a name, or a pattern in which `*` stands for any characters."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="services")
    service = models.CharField(max_length=120)

    class Meta:
        ordering = ["service"]
        constraints = [
            models.UniqueConstraint(fields=["team", "service"], name="one_row_a_team_service"),
        ]

    def __str__(self) -> str:
        return self.service


class PersonalToken(models.Model):
    """A bearer token of the REST API. It acts for its person, within its scopes, until it expires.
    Only its hash is stored; `prefix` identifies it."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(max_length=80)
    scopes = models.JSONField()
    prefix = models.CharField(max_length=12, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created = models.DateTimeField(auto_now_add=True)
    expires = models.DateTimeField()
    revoked = models.DateTimeField(null=True, blank=True, editable=False)
    last_used = models.DateTimeField(null=True, blank=True, editable=False)
    last_address = models.CharField(max_length=45, blank=True, editable=False)

    class Meta:
        ordering = ["-created", "-id"]

    def __str__(self) -> str:
        return f"{self.prefix}… of {self.person}"


class ServiceToken(models.Model):
    """The bearer token of a service's agents. Only its hash is stored; `prefix` identifies it."""

    service = models.CharField(max_length=120, db_index=True)
    name = models.CharField(max_length=80, blank=True, help_text="Where it is used, for people.")
    prefix = models.CharField(max_length=12, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.SET_NULL, editable=False
    )
    revoked = models.DateTimeField(null=True, blank=True, editable=False)
    expires = models.DateTimeField(null=True, blank=True, help_text="Empty: it does not expire.")
    instances = models.CharField(
        max_length=500,
        blank=True,
        help_text="Names of instances that may use it, separated by commas; `*` stands for any "
        "characters. Empty: every instance of the service.",
    )
    last_used = models.DateTimeField(null=True, blank=True, editable=False)
    last_address = models.CharField(max_length=45, blank=True, editable=False)

    class Meta:
        ordering = ["service", "created"]

    def __str__(self) -> str:
        return f"{self.prefix}… of {self.service}"


class StatusLink(models.Model):
    """A link to the read-only status page, for readers without an account. Only its hash is stored.

    `services` None means every service.
    """

    name = models.CharField(max_length=80, help_text="Whom it is for, for people.")
    services = models.JSONField(null=True, blank=True)
    prefix = models.CharField(max_length=12, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    created = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.SET_NULL, editable=False
    )
    expires = models.DateTimeField()
    revoked = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["-created"]

    def __str__(self) -> str:
        return f"{self.prefix}… for {self.name}"


class AuditEntry(models.Model):
    """Who did what to what, and why. Written in the transaction of the act itself.

    Rows are append-only, which triggers enforce, and chained: `hash` covers every other column and
    the hash of the row before (see `audit_chain.py`).
    """

    # The position in the chain: 1, 2, 3 … without gaps.
    number = models.PositiveBigIntegerField(unique=True, editable=False)
    at = models.DateTimeField(default=timezone.now, db_index=True, editable=False)
    # Without a constraint: deleting an account must not change the row.
    person = models.ForeignKey(
        Person, null=True, blank=True, on_delete=models.DO_NOTHING, db_constraint=False
    )
    # The username at that time: the row outlives the account.
    by = models.CharField(max_length=150)
    act = models.CharField(max_length=60)
    service = models.CharField(max_length=120, blank=True, db_index=True)
    breaker = models.CharField(max_length=120, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    detail = models.JSONField(default=dict, blank=True)
    # Where the request came from: its address, and a short hash of its session or its token.
    address = models.CharField(max_length=45, blank=True)
    session = models.CharField(max_length=24, blank=True)
    previous = models.CharField(max_length=64, editable=False)
    hash = models.CharField(max_length=64, editable=False)

    class Meta:
        ordering = ["-at", "-id"]
        verbose_name_plural = "audit trail"

    def __str__(self) -> str:
        return f"{self.by}: {self.act} {self.service} {self.breaker}".strip()


class AuditHead(models.Model):
    """The last row of the audit chain, with a signature (see `audit_chain.py`)."""

    number = models.PositiveBigIntegerField(default=0)
    hash = models.CharField(max_length=64, default="0" * 64)
    signature = models.CharField(max_length=128, default="")

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"


class AuditTimeStamp(models.Model):
    """A time stamp (RFC 3161) of a head of the audit chain (see `time_stamps.py`). Append-only, as
    the trail is."""

    number = models.PositiveBigIntegerField(editable=False)
    hash = models.CharField(max_length=64, editable=False)
    # The authority's whole answer in DER, as `openssl ts -verify -in` reads it.
    answer = models.BinaryField(editable=False)
    # When it was made: by the authority's clock, and by ours.
    at = models.DateTimeField(editable=False)
    stored = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["number", "hash"], name="one_time_stamp_of_a_head")
        ]

    def __str__(self) -> str:
        return f"{self.number}:{self.hash} at {self.at.isoformat()}"


class SavedView(models.Model):
    """A named view of the wall: the query string of its address."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="views")
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=1000, blank=True)
    changed = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["person", "name"], name="one_view_of_a_name"),
        ]

    def __str__(self) -> str:
        return self.name
