"""Functions that fail."""

from __future__ import annotations


class Boom(Exception):
    pass


def fail() -> None:
    raise Boom


async def afail(*_: object) -> None:
    raise Boom
