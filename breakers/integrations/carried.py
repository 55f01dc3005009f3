"""The deadline and the criticality of a call, carried to the callee in HTTP headers.

`Switchgear-Deadline-Ms` is the time that is left, in milliseconds: durations travel, no clock
readings. `Switchgear-Criticality` is `critical` or `sheddable`; a default call sends none. Clients
send both where `carry` is set; servers read both where `carried` is, since whoever can send a
request can claim to be critical. A header that cannot be read is ignored. A carried deadline only
ever shortens the server's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from breakers.criticality import Criticality, criticality, current_criticality
from breakers.deadline import bounded, remaining

DEADLINE_HEADER: Final = "Switchgear-Deadline-Ms"
CRITICALITY_HEADER: Final = "Switchgear-Criticality"
HEADERS: Final = (DEADLINE_HEADER, CRITICALITY_HEADER)

# Whether to send the headers: to every host, to none, or to the hosts that a function names.
Carry = bool | Callable[[str], bool]
_LENGTH_MAX: Final = 8


class Carried(NamedTuple):
    """What came with a request: seconds that are left, and the class; None for what did not."""

    seconds: float | None = None
    level: Criticality | None = None


def carries(carry: Carry, host: str) -> bool:
    """Whether requests to a host carry the headers."""
    return carry(host) if callable(carry) else carry


def outgoing() -> dict[str, str]:
    """The headers of a request that is sent now.

    >>> with criticality("sheddable"), bounded(2.0):
    ...     sorted(outgoing())
    ['Switchgear-Criticality', 'Switchgear-Deadline-Ms']
    """
    found = {}
    left, level = remaining(), current_criticality()
    if left is not None:
        found[DEADLINE_HEADER] = str(int(left * 1000))
    if level is not Criticality.DEFAULT:
        found[CRITICALITY_HEADER] = level.value
    return found


def incoming(deadline: str | None, level: str | None) -> Carried:
    """Reads the values of the two headers.

    >>> incoming("250", "critical")
    Carried(seconds=0.25, level=<Criticality.CRITICAL: 'critical'>)
    >>> incoming("soon", "VIP")
    Carried(seconds=None, level=None)
    """
    seconds = None
    if deadline is not None and deadline.isascii() and deadline.isdigit():
        seconds = int(deadline) / 1000 if len(deadline) <= _LENGTH_MAX else None
    known = next((each for each in Criticality if each.value == level), None)
    return Carried(seconds, known)


@contextmanager
def under(carried: Carried) -> Iterator[None]:
    """Run a block under what came with a request. The deadline is for the block to read; it
    interrupts nothing."""
    with bounded(carried.seconds), criticality(carried.level or current_criticality()):
        yield
