"""What instances answered to policies: their refusals are kept until they apply one."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Q

from breakers.protocol import messages as wire
from dashboard.policies.models import Refusal

_KEPT_PER_SERVICE = 2000


def record_refusals(acks: Sequence[tuple[str, wire.Ack]]) -> None:
    """Keep each refusal of a policy, and drop those of instances that have applied one since."""
    latest = {
        (service, item.breaker, ack.instance): (ack.revision, item)
        for service, ack in acks
        for item in ack.items
        if item.kind == "policy"
    }
    speakers = {(service, ack.instance) for service, ack in acks}
    named = Q(
        service__in={service for service, _ in speakers},
        instance__in={instance for _, instance in speakers},
    )
    known = set(Refusal.objects.filter(named).values_list("pk", "service", "breaker", "instance"))
    refused = {key for key, (_, item) in latest.items() if item.status == "refused"}
    # An acknowledgement names every policy that is meant for its instance.
    over = [pk for pk, *key in known if (key[0], key[2]) in speakers and tuple(key) not in refused]
    if over:
        Refusal.objects.filter(pk__in=over).delete()
    if not refused:
        return
    room = {service: _KEPT_PER_SERVICE for service, _, _ in refused}
    for service in room:
        room[service] -= Refusal.objects.filter(service=service).count()
    rows = []
    for service, breaker, instance in sorted(refused):
        revision, item = latest[service, breaker, instance]
        is_new = all(tuple(key) != (service, breaker, instance) for _, *key in known)
        if is_new and room[service] <= 0:
            continue
        room[service] -= is_new
        rows.append(
            Refusal(
                service=service,
                breaker=breaker,
                instance=instance,
                revision=revision,
                reason=item.reason[:500],
            )
        )
    Refusal.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["service", "breaker", "instance"],
        update_fields=["revision", "reason", "at"],
    )
