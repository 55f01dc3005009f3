"""The signed head of the audit chain that this process knows, added to every log line.

With the logs it can be proved later that the trail has not been cut or rewritten.
"""

from __future__ import annotations

from typing import Any


class Anchor:
    """The latest head as `number:hash:signature`."""

    def __init__(self) -> None:
        self.number = 0
        self.text = ""

    def set(self, number: int, text: str) -> None:
        """Remember a head, unless a later one is known."""
        if number >= self.number:
            self.number, self.text = number, text


anchor = Anchor()


def add_anchor(logger: Any, name: str, event: Any) -> Any:
    """Add the head to a log line (a processor of structlog)."""
    if anchor.text:
        event["audit_head"] = anchor.text
    return event
