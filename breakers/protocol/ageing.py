"""Ageing of overrides: what is left of an expiry after some time.

Used by the agent, by its desired state on disk and by the dashboard. No override lasts longer than
`MAX_OVERRIDE_S` from the moment it was received, whatever the dashboard says: one without an expiry
is given that one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from breakers.protocol import messages as wire

MAX_OVERRIDE_S: Final = 7 * 86_400.0


def aged_overrides(overrides: Iterable[wire.Override], age_s: float = 0.0) -> list[wire.Override]:
    """The overrides that still stand `age_s` seconds later, each with what is left of its expiry.

    >>> aged_overrides([wire.Override("a", "b", "forced_open", None, 60.0)], 45.0)[0].expires_in_s
    15.0
    >>> aged_overrides([wire.Override("a", "b", "forced_open", None, None)], 0.0)[0].expires_in_s
    604800.0
    """
    aged = []
    for each in overrides:
        left = remaining_s(each.expires_in_s, age_s)
        if left > 0:
            aged.append(msgspec.structs.replace(each, expires_in_s=left))
    return aged


def aged(desired: wire.Desired, age_s: float) -> wire.Desired:
    """A desired state as it stands `age_s` seconds later; warm starts are over by then."""
    return msgspec.structs.replace(
        desired,
        overrides=aged_overrides(desired.overrides, age_s),
        warm_starts=[],
        recordings=aged_orders(desired.recordings, age_s),
        faults=[
            msgspec.structs.replace(each, expires_in_s=each.expires_in_s - age_s)
            for each in desired.faults
            if each.expires_in_s > age_s
        ],
    )


def aged_orders(
    orders: Iterable[wire.RecordingOrder] | None, age_s: float
) -> list[wire.RecordingOrder] | None:
    """The orders of recordings that still stand `age_s` seconds later."""
    if orders is None:
        return None
    return [
        msgspec.structs.replace(each, expires_in_s=each.expires_in_s - age_s)
        for each in orders
        if each.expires_in_s > age_s
    ]


def remaining_s(expires_in_s: float | None, age_s: float = 0.0) -> float:
    """Seconds left of an expiry after `age_s` seconds; 0 or less once it is over."""
    whole = MAX_OVERRIDE_S if expires_in_s is None else min(expires_in_s, MAX_OVERRIDE_S)
    return whole - max(0.0, age_s)
