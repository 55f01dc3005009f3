"""The types of the fields of messages, with their bounds."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta

from breakers.circuit.histogram import HIGHEST, LOWEST
from breakers.protocol import names

Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=names.MAX_LENGTH,
        pattern=names.PATTERN,
        description=f"A name: {names.ALLOWED}.",
    ),
]
# Machine-made: of boots, overrides and kinds.
Identifier = Annotated[
    str, Meta(min_length=1, max_length=120, pattern=r"^[!-~]+$(?!\n)", description="Visible ASCII.")
]
OptionalIdentifier = Annotated[str, Meta(max_length=120, pattern=r"^[!-~]*$(?!\n)")]
# Without NUL, which PostgreSQL's text type cannot hold.
Text = Annotated[str, Meta(max_length=500, pattern=r"^[^\x00]*$")]
# Above any plausible report; sums of many still fit into 64 bits.
Count = Annotated[int, Meta(ge=0, le=2**40)]
# The most calls of one breaker in one process that a report may claim for a second.
MAX_CALLS_PER_S: Final = 1_000_000
StateName = Literal[
    "closed",
    "open",
    "half_open",
    "forced_open",
    "forced_closed",
    "metrics_only",
    "forced_partial",
]
BucketIndex = Annotated[int, Meta(ge=LOWEST, le=HIGHEST)]
# Bounded on both sides, so that neither NaN nor infinity passes.
Seconds = Annotated[float, Meta(ge=0, le=1e9)]
Share = Annotated[float, Meta(ge=0, le=1)]
