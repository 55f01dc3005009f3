"""Callees and options for the tests of rules."""

from __future__ import annotations

from typing import Any

from breakers import (
    CallOptions,
    ResilientCaller,
)

caller = ResilientCaller()


def options(**fields: Any) -> CallOptions:
    return CallOptions(**{"timeout": None, "retries": 3, "retry_delay": 0.0, **fields})


class Charge:
    """A callee that counts how often it is called."""

    def __init__(self, error: Exception | None = None) -> None:
        self.made, self.error = 0, error

    def __call__(self) -> str:
        self.made += 1
        if self.error is not None:
            raise self.error
        return "receipt"
