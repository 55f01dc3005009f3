"""Process-wide switches for tests. `breakers.testing` is their public side."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Switches:
    """What tests have switched, for every call of the process.

    `is_off`: calls go straight to the function. `no_sleep`: pauses between attempts are skipped.
    `attempts`: the number of attempts of every call; with `is_cap`, the greatest number.
    """

    is_off: bool = False
    no_sleep: bool = False
    attempts: int | None = None
    is_cap: bool = False

    def attempts_of(self, declared: int) -> int:
        """The number of attempts of a call that declares `declared`."""
        if self.attempts is None:
            return declared
        return min(declared, self.attempts) if self.is_cap else self.attempts


switches = Switches()
