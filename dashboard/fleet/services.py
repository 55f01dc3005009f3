"""Writes of this room: services and the numbers of their desired states."""

from collections.abc import Iterable, Mapping
from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from dashboard.bus import bus
from dashboard.fleet.batch import CursorKey
from dashboard.fleet.models import Cursor, Service

DESIRED = "desired"


def get_or_create_service(name: str) -> Service:
    """The row of a service, made when it is first heard of."""
    return Service.objects.get_or_create(name=name)[0]


def bump_revision(name: str) -> int:
    """Number the service's next desired state, inside the transaction that changes it.

    Once that commits, the gates hear of it on the topic `desired`.
    """
    get_or_create_service(name)
    Service.objects.filter(name=name).update(revision=F("revision") + 1)
    transaction.on_commit(lambda: bus().publish(DESIRED, name.encode()))
    return Service.objects.values_list("revision", flat=True).get(name=name)


def revision(name: str) -> int:
    """The number of the service's desired state; 0 for one that nobody has spoken of."""
    return Service.objects.filter(name=name).values_list("revision", flat=True).first() or 0


def keep_cursors(cursors: Mapping[CursorKey, int]) -> None:
    """Say up to which report each instance's counts are stored, in the transaction that stores
    them."""
    now = timezone.now()
    Cursor.objects.bulk_create(
        [
            Cursor(service=service, instance=instance, boot=boot, seq=seq, at=now)
            for (service, instance, boot), seq in cursors.items()
        ],
        update_conflicts=True,
        unique_fields=["service", "instance", "boot"],
        update_fields=["seq", "at"],
    )


def keep_services(names: Iterable[str]) -> None:
    """Make a row for each service that has none yet."""
    Service.objects.bulk_create([Service(name=name) for name in names], ignore_conflicts=True)


def cursors() -> dict[CursorKey, int]:
    """The cursors of every life that may still send something again."""
    rows = Cursor.objects.values_list("service", "instance", "boot", "seq")
    return {(service, instance, boot): seq for service, instance, boot, seq in rows}


def forget_old_lives() -> int:
    """Drop the cursors of processes that have been silent for a week."""
    return Cursor.objects.filter(at__lt=timezone.now() - timedelta(days=7)).delete()[0]
