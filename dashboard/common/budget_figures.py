"""Figures of services' budgets, for pages: given by whoever holds the budgets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BudgetFigure:
    """How much of a budget a service has used. `limit` is what it may use at once, `per_s` what it
    gets back each second (None: nothing, the limit is on what is there), `refused` how often it
    was over the budget."""

    what: str
    used: float
    limit: float
    per_s: float | None = None
    refused: int | None = None

    @property
    def share_pct(self) -> int:
        """The used share, in per cent, at most 100."""
        return min(100, round(100 * self.used / self.limit))


_Source = Callable[[str], list[BudgetFigure]]
_sources: list[_Source] = []


def provide(source: _Source) -> None:
    """Ask `source` for a service's figures from now on, in this process."""
    _sources[:] = [source]


def figures(service: str) -> list[BudgetFigure]:
    """The figures of what this process holds; none where it holds no budgets."""
    return [each for source in _sources for each in source(service)]
