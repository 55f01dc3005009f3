"""Faults that an operator injects, to rehearse."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from breakers.protocol.field_types import Identifier, Name, Seconds, Share

# Of one service at a time.
MAX_FAULTS: Final = 16
# What an agent keeps to, whatever an order says.
MAX_FAULT_S: Final = 3600.0
MAX_LATENCY_S: Final = 60.0


class FaultOrder(Struct, frozen=True, omit_defaults=True):
    """Inject a fault into `share` of the calls of a breaker: `kind` is `latency`, `error` or
    `corrupt`; `latency_s`, 60 s at most, comes before the call whatever the kind.

    `expires_in_s` counts from the moment of sending. An agent ends a fault after an hour at the
    latest, and obeys only where the code of the service names the breaker. `instances` None means
    every instance.
    """

    id: Identifier
    breaker: Name
    kind: Identifier
    expires_in_s: Seconds
    share: Share = 1.0
    latency_s: Annotated[float, Meta(ge=0, le=MAX_LATENCY_S)] = 0.0
    instances: list[str] | None = None
