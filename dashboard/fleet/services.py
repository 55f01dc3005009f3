"""Writes of services and of the numbers of their desired states."""

from collections.abc import Iterable, Mapping
from datetime import timedelta

from django.db import transaction
from django.db.models import Count, F
from django.utils import timezone

from dashboard.bus import bus
from dashboard.bus.interface import partition_of
from dashboard.common.batch_deletion import sweep
from dashboard.fleet.models import Cursor, DeadLetter, ForgottenInstance, Partition, Service

DESIRED = "desired"
_LETTERS_KEPT = 1000
_LETTERS_KEPT_FOR = timedelta(days=30)
_CURSORS_KEPT_FOR = timedelta(days=7)
# Of one service: as many incarnations as the largest starts in four rounds.
_CURSORS_KEPT = 20_000
_MANY_CURSORS_KEPT_FOR = timedelta(days=1)
# Longer than a worker remembers an instance that is silent.
_FORGOTTEN_FOR = timedelta(hours=1)


class Fenced(Exception):
    """Another worker has taken these partitions over: what was counted here is counted there."""

    def __init__(self, partitions: frozenset[int]) -> None:
        super().__init__(f"partitions {sorted(partitions)} have been taken over")
        self.partitions = partitions


def get_or_create_service(name: str) -> Service:
    """The row of a service, made when it is first heard of."""
    return Service.objects.get_or_create(name=name)[0]


def bump_revision(name: str) -> int:
    """Number the service's next desired state, inside the transaction that changes it.

    Once that commits, web processes are notified on the topic `desired`.
    """
    get_or_create_service(name)
    Service.objects.filter(name=name).update(revision=F("revision") + 1)
    transaction.on_commit(lambda: bus().publish(DESIRED, name.encode()))
    return Service.objects.values_list("revision", flat=True).get(name=name)


def bump_every_revision() -> None:
    """Number the next desired state of every service, inside the transaction that changes them."""
    names = list(Service.objects.values_list("name", flat=True))
    Service.objects.update(revision=F("revision") + 1)
    for name in names:
        transaction.on_commit(lambda name=name: bus().publish(DESIRED, name.encode()))  # type: ignore[misc]


def revision(name: str) -> int:
    """The number of the service's desired state; 0 for one that nobody has spoken of."""
    return Service.objects.filter(name=name).values_list("revision", flat=True).first() or 0


def keep_services(names: Iterable[str]) -> None:
    """Make a row for each service that has none yet."""
    Service.objects.bulk_create([Service(name=name) for name in names], ignore_conflicts=True)


def services_of(partitions: frozenset[int]) -> list[str]:
    """The services of the last week whose messages travel in these partitions. Of those that have
    been silent for longer nothing is watched; they come back with their first report."""
    names = Cursor.objects.order_by().values_list("service", flat=True).distinct()
    return [name for name in names if partition_of(name) in partitions]


def fence_off(partitions: frozenset[int]) -> dict[int, int]:
    """Give these partitions new epochs, inside a transaction. Once that commits, the
    worker that had them can store nothing more; what it is storing just now is waited for."""
    Partition.objects.bulk_create(
        [Partition(number=number) for number in sorted(partitions)], ignore_conflicts=True
    )
    list(_locked(partitions))
    Partition.objects.filter(number__in=partitions).update(epoch=F("epoch") + 1)
    rows = Partition.objects.filter(number__in=partitions).values_list("number", "epoch")
    return dict(rows)


def check_fence(epochs: Mapping[int, int]) -> None:
    """Hold these partitions for the rest of the transaction.

    Raises:
        Fenced: one has another epoch by now.
    """
    found = {each.number: each.epoch for each in _locked(epochs)}
    lost = frozenset(number for number, epoch in epochs.items() if found.get(number) != epoch)
    if lost:
        raise Fenced(lost)


def _locked(partitions: Iterable[int]) -> Iterable[Partition]:
    # In order, so that two that want the same never wait for one another.
    rows = Partition.objects.select_for_update().filter(number__in=partitions)
    return rows.order_by("number")


def put_aside(service: str, body: str, error: str) -> None:
    """Keep what the database refused; the latest thousand of them."""
    DeadLetter.objects.create(service=service, body=body, error=error)
    beyond = DeadLetter.objects.values_list("pk", flat=True)[_LETTERS_KEPT:]
    DeadLetter.objects.filter(pk__in=list(beyond)).delete()


def forget_instance(service: str, instance: str) -> None:
    """Have the fleet's worker forget an instance, inside a transaction."""
    ForgottenInstance.objects.update_or_create(
        service=service, instance=instance, defaults={"at": timezone.now()}
    )
    transaction.on_commit(lambda: bus().publish(DESIRED, service.encode()))


def forgotten_instances() -> dict[tuple[str, str], float]:
    """When operators asked to forget which instances, by service and id, as Unix time. Those of
    longer ago have been forgotten."""
    rows = ForgottenInstance.objects.filter(at__gt=timezone.now() - _FORGOTTEN_FOR)
    return {(row.service, row.instance): row.at.timestamp() for row in rows}


def forget_old_incarnations() -> int:
    """Drop the cursors of processes that have been silent for a week, with their gaps; of a service
    that starts very many, also those beyond the latest that have been silent for a day."""
    now = timezone.now()
    gone = sweep(Cursor.objects.filter(at__lt=now - _CURSORS_KEPT_FOR))
    gone += sweep(ForgottenInstance.objects.filter(at__lt=now - _FORGOTTEN_FOR))
    many = Cursor.objects.order_by().values("service").annotate(n=Count("pk"))
    for name in many.filter(n__gt=_CURSORS_KEPT).values_list("service", flat=True):
        rows = Cursor.objects.filter(service=name).order_by("-at")
        newest = rows.values_list("at", flat=True)[_CURSORS_KEPT]
        gone += sweep(rows.filter(at__lte=min(newest, now - _MANY_CURSORS_KEPT_FOR)))
    return gone


def forget_old_letters() -> int:
    """Drop what was put aside a month ago."""
    return sweep(DeadLetter.objects.filter(at__lt=timezone.now() - _LETTERS_KEPT_FOR))


def revisions() -> dict[str, int]:
    """The revision of the desired state of each service."""
    return dict(Service.objects.values_list("name", "revision"))
