"""Recordings, the calls of a breaker one by one, and orders of the dashboard to make them."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from breakers.circuit.recorder import CALL_OUTCOME_NAMES
from breakers.protocol.field_types import Count, Identifier, Name, Seconds, Text

MAX_RECORDED: Final = 4096
# An agent records no longer, whatever an order says.
MAX_RECORDING_S: Final = 600.0

TRIP: Final = "trip"
ASKED: Final = "asked"
OUTCOMES: Final = CALL_OUTCOME_NAMES

Offset = Annotated[int, Meta(ge=-(2**40), le=2**40)]
OutcomeCode = Annotated[int, Meta(ge=0, le=len(OUTCOMES) - 1)]
Latency = Annotated[int, Meta(ge=0, le=2**32 - 1)]
Attempt = Annotated[int, Meta(ge=1, le=255)]


class RecordingOrder(Struct, frozen=True, omit_defaults=True):
    """Record each call of a breaker; `*` is every breaker of the service. `expires_in_s` counts
    from the moment of sending. An agent records for 600 s at most, and an order once."""

    id: Identifier
    breaker: Name
    expires_in_s: Seconds


class Recording(Struct, tag_field="type", tag="recording"):
    """Calls of one breaker at one instance, in the order in which they ended.

    Call n began `offset_us[n]` microseconds after the recording's start, before it where that is
    negative, and took `latency_us[n]`. `outcome` is 0 success, 1 failure, 2 timeout, 3 ignored,
    4 cancelled or 5 rejected; `attempt` counts from 1. All four arrays have the same length.

    `reason` is `trip` for the calls that opened the breaker: its start is the trip, `id` the number
    of the trip, `cause` why it opened. It is `asked` for an order: `id` is the order's, and its
    start is the same in all its messages. The start was `age_s` seconds before the moment of
    sending. `first` numbers the first of these calls in this boot; `lost` counts the calls before
    it that the agent could not keep.
    """

    service: Name
    instance: Name
    boot: Identifier
    breaker: Name
    reason: Literal["trip", "asked"]
    id: Identifier
    age_s: Seconds
    offset_us: Annotated[list[Offset], Meta(max_length=MAX_RECORDED)]
    outcome: Annotated[list[OutcomeCode], Meta(max_length=MAX_RECORDED)]
    latency_us: Annotated[list[Latency], Meta(max_length=MAX_RECORDED)]
    attempt: Annotated[list[Attempt], Meta(max_length=MAX_RECORDED)]
    first: Count = 0
    lost: Count = 0
    cause: Text = ""
    v: int = 1
