"""Chooses the instances of a canary by a share of those that are connected."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from django.core.exceptions import ValidationError

from breakers.circuit.policy import FieldSpec
from breakers.errors import PolicyError
from dashboard.fleet.snapshot.reads import breaker_view
from dashboard.policies.quantities import parse, wanted

SHARE: Final = FieldSpec("share", float, 0.1, "Share of the instances", "fleet", 0.01, 0.99)


def by_share(service: str, breaker: str, typed: str) -> list[str]:
    """The names of the share of a breaker's connected instances that was typed, at least one and
    never all: the canary is compared with the rest. The same fleet gives the same instances.

    Raises:
        ValidationError: it is no share, or fewer than two instances are connected.
    """
    try:
        share = parse(SHARE, typed)
    except PolicyError as error:
        raise ValidationError(
            f"Share of the instances: {str(error.value)[:60]} is not {wanted(SHARE)}."
        ) from None
    assert isinstance(share, float)
    view = breaker_view(service, breaker)
    connected = [at["id"] for at in view["instances"] if not at["stale"]] if view else []
    if len(connected) < 2:
        raise ValidationError(
            f"Share of the instances: {len(connected)} connected; a canary needs another instance "
            "to be compared with."
        )
    chosen = min(len(connected) - 1, max(1, round(share * len(connected))))
    # By a hash: names in their order often share a host or a zone.
    return sorted(sorted(connected, key=lambda id: sha256(id.encode()).digest())[:chosen])
