"""The quorum rule on replayed breakers, which are taken to be in different zones."""

from __future__ import annotations

from collections.abc import Callable, Collection

from dashboard.fleet.quorum import Opened, QuorumRule, is_met
from dashboard.policies.whatif.machine import ReplayBreaker


class ReplayQuorum:
    """Looks at the breakers now and then, opens the rest and lets them go again."""

    def __init__(
        self, rule: QuorumRule | None, breakers: Callable[[], Collection[ReplayBreaker]]
    ) -> None:
        self._rule = rule
        self._breakers = breakers
        self._held: list[ReplayBreaker] = []
        self._until = 0.0
        self.trips = 0

    def look(self, now: float) -> None:
        """Apply the rule at a time."""
        if self._rule is None:
            return
        breakers = self._breakers()
        if self._held:
            others = [each for each in breakers if each not in self._held]
            is_over = now >= self._until
            if not is_over and 2 * sum(each.is_closed for each in others) <= len(others):
                return
            for each in self._held:
                each.let_go(now)
            self._held = []
        opened = [
            Opened(str(number), each.opened_at)
            for number, each in enumerate(breakers)
            if each.is_open
        ]
        rest = [each for each in breakers if each.is_closed]
        if rest and is_met(self._rule, opened, len(breakers), now):
            self._held, self._until = rest, now + self._rule.hold_s
            self.trips += 1
            for each in rest:
                each.hold(now, self._rule.hold_s)
