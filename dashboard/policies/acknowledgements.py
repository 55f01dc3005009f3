"""What instances answered to policies: their refusals are kept until they apply one."""

from __future__ import annotations

from collections.abc import Sequence

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
    # By service, not by instance: after an act thousands of instances answer at once, and few
    # refusals are kept.
    kept = Refusal.objects.filter(service__in={service for service, _ in speakers})
    known = {
        (service, breaker, instance): pk
        for pk, service, breaker, instance in kept.values_list(
            "pk", "service", "breaker", "instance"
        )
    }
    refused = {key for key, (_, item) in latest.items() if item.status == "refused"}
    # An acknowledgement names every policy that is meant for its instance.
    over = [pk for key, pk in known.items() if (key[0], key[2]) in speakers and key not in refused]
    if over:
        Refusal.objects.filter(pk__in=over).delete()
    if not refused:
        return
    left = dict.fromkeys({service for service, _, _ in refused}, _KEPT_PER_SERVICE)
    for service, _, _ in known:
        if service in left:
            left[service] -= 1
    rows = []
    for service, breaker, instance in sorted(refused):
        revision, item = latest[service, breaker, instance]
        is_new = (service, breaker, instance) not in known
        if is_new and left[service] <= 0:
            continue
        left[service] -= is_new
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
