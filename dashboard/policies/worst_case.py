"""How long a call may take, and how many attempts it may make, under a policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class WorstCase:
    """`seconds` is None where nothing bounds an attempt. `pauses_s` is the part of the pauses."""

    attempts: int
    attempt_s: float | None
    pauses_s: float
    seconds: float | None


def worst_case(policy: Mapping[str, Any]) -> WorstCase:
    """The longest call: every attempt runs into its timeout, and no pause is shortened by jitter.
    A deadline cuts it off.

    >>> worst_case({"timeout": 2.0, "retries": 3, "retry_delay": 0.5, "retry_delay_max": 60.0})
    WorstCase(attempts=3, attempt_s=2.0, pauses_s=1.5, seconds=7.5)
    """
    attempts = int(policy.get("retries") or 1)
    delay = float(policy.get("retry_delay") or 0.0)
    longest = float(policy.get("retry_delay_max", 60.0) or 0.0)
    pauses = sum(min(longest, delay * 2.0**n) for n in range(attempts - 1))
    attempt, deadline = policy.get("timeout"), policy.get("deadline")
    seconds = None if attempt is None else attempts * attempt + pauses
    if deadline is not None:
        seconds = deadline if seconds is None else min(seconds, deadline)
    return WorstCase(attempts, attempt, pauses, seconds)
