"""Forgetting an instance that is gone: a process that was killed, or a host that is no more."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction

from dashboard.access.authority import demand
from dashboard.access.models import Person
from dashboard.access.roles import OPERATE
from dashboard.access.services import audit
from dashboard.fleet import services as fleet
from dashboard.fleet.snapshot.reads import snapshot


def forget_instance(person: Person, service: str, instance: str) -> None:
    """Forget a silent instance before its ten minutes are over. What it counted stays in history,
    and it is shown again if it reports again.

    Raises:
        PermissionDenied: the person may not operate the service.
        ValidationError: it is not known, or still reports.
    """
    demand(person, OPERATE, [service])
    known = [
        each
        for found in snapshot(service)["services"]
        for each in found["instances"]
        if each["id"] == instance
    ]
    if not known:
        raise ValidationError({"instance": f"{service} has no instance {instance[:120]!r}."})
    if not known[0]["stale"]:
        still = (
            f"{instance} still reports: it would be shown again at once. Stop its process first."
        )
        raise ValidationError({"instance": still})
    with transaction.atomic():
        fleet.forget_instance(service, instance)
        audit(person, "instance forgotten", service=service, instance=instance)
