"""The names of things in Redis. Whatever belongs to one partition has its number as hash tag, so
that all of it lives on one node of a Redis Cluster and one script may touch it."""

from typing import Final

WORKERS: Final = "switchgear:fleet:workers"


def log(partition: int) -> str:
    """The stream of entries that are not committed."""
    return f"switchgear:{{{partition}}}:log"


def size(partition: int) -> str:
    """How many bytes are in the stream."""
    return f"switchgear:{{{partition}}}:size"


def lease(partition: int) -> str:
    """The worker that reads the partition, with an expiry."""
    return f"switchgear:{{{partition}}}:lease"


def topic(name: str) -> str:
    """A pub/sub channel."""
    return f"switchgear:topic:{name}"


def position(id: bytes) -> tuple[int, int]:
    """A stream's id as numbers that compare.

    >>> position(b"1700000000000-3")
    (1700000000000, 3)
    """
    ms, _, number = id.partition(b"-")
    return int(ms), int(number)
