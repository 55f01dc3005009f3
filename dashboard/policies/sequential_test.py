"""An anytime-valid test of a canary against the rest, from two integers an arm: calls and failures.

A canary is looked at every few seconds, so its test must hold at every look. The test multiplies
likelihood ratios (an e-process): under the null hypothesis, the chance that the product ever
reaches 1/alpha is at most alpha (Ville's inequality), however often one looks and whenever one
stops.

Each look compares the arms within its own increment of time. Given how many calls failed in both
arms together, the number of failures in the canary follows Fisher's noncentral hypergeometric
distribution, whose only parameter is the odds ratio of failure. A failure rate that changes over
time, and a share of traffic that changes, cancel out. The alternative is a mixture over a grid of
odds ratios.

Sources: Lindon and Malek, "Anytime-Valid Inference for Multinomial Count Data", NeurIPS 2022;
Turner, Ly and Grünwald, "Generic E-variables for exact sequential k-sample tests", 2024; Fisher's
noncentral hypergeometric distribution as in Liao and Rosen, The American Statistician 55 (2001).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, inf, lgamma, log
from typing import Final

# Odds ratios of the alternative: from a quarter more failures to thirty times as many.
_WORSE: Final = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)
_NO_WORSE: Final = (1.0, 0.8, 0.5, 0.2)
# Increments above this many calls an arm are thinned in proportion: the support of the
# distribution, which is summed over, stays short.
_MOST_CALLS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Arm:
    """Calls that ended in one arm, and how many of them failed."""

    calls: int
    failures: int

    def __post_init__(self) -> None:
        if not 0 <= self.failures <= self.calls:
            raise ValueError(
                f"failures is {self.failures}; right is a number from 0 to calls ({self.calls})"
            )

    @property
    def success_share(self) -> float | None:
        """The share of calls that succeeded; None without calls."""
        return 1 - self.failures / self.calls if self.calls else None


@dataclass(slots=True)
class CanaryTest:
    """Evidence about a canary, kept between looks.

    `alpha` bounds the chance of halting a canary that is no worse, and of promoting one whose odds
    of failure are more than `margin` times those of the rest."""

    alpha: float = 0.01
    margin: float = 1.5
    canary: Arm = field(default_factory=lambda: Arm(0, 0))
    rest: Arm = field(default_factory=lambda: Arm(0, 0))
    _worse: list[float] = field(default_factory=lambda: [0.0] * len(_WORSE))
    _no_worse: list[float] = field(default_factory=lambda: [0.0] * len(_NO_WORSE))
    _most_harm: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha is {self.alpha}; right is a number between 0 and 1")
        if not 1 < self.margin < inf:
            raise ValueError(f"margin is {self.margin}; right is a number above 1")

    def add(self, canary: Arm, rest: Arm) -> None:
        """Add what ended since the last look."""
        self.canary = Arm(self.canary.calls + canary.calls, self.canary.failures + canary.failures)
        self.rest = Arm(self.rest.calls + rest.calls, self.rest.failures + rest.failures)
        canary, rest = _thinned(canary), _thinned(rest)
        if not (canary.calls and rest.calls and canary.failures + rest.failures):
            return
        weights = _Increment(canary, rest)
        null, limit = weights.log_probability(1.0), weights.log_probability(self.margin)
        for i, ratio in enumerate(_WORSE):
            self._worse[i] += weights.log_probability(ratio) - null
        for i, ratio in enumerate(_NO_WORSE):
            self._no_worse[i] += weights.log_probability(ratio) - limit
        self._most_harm = max(self._most_harm, self.log_harm)

    @property
    def log_harm(self) -> float:
        """The logarithm of the evidence that the canary fails more often than the rest."""
        return _log_mean(self._worse)

    @property
    def log_safety(self) -> float:
        """The logarithm of the evidence that it does not fail `margin` times as often."""
        return _log_mean(self._no_worse)

    @property
    def threshold(self) -> float:
        """The logarithm that either evidence must reach."""
        return log(1 / self.alpha)

    @property
    def p_value(self) -> float:
        """The anytime-valid p-value of "no worse": valid at every look, and never rises."""
        return exp(-self._most_harm) if self._most_harm > 0 else 1.0

    @property
    def is_worse(self) -> bool:
        """Whether to halt."""
        return self._most_harm >= self.threshold

    @property
    def is_safe(self) -> bool:
        """Whether it may be promoted."""
        return not self.is_worse and self.log_safety >= self.threshold

    def sentence(self) -> str:
        """The state of the test in one sentence, for pages and the audit trail."""
        canary, rest = self.canary.success_share, self.rest.success_share
        if canary is None or rest is None:
            missing = "the canary" if canary is None else "the other instances"
            return f"waiting: {missing} has ended no call yet"
        compared = f"success {100 * canary:.2f} % against {100 * rest:.2f} %"
        if self.is_worse:
            return f"halted: {compared}, p < {_ceiling(self.p_value)}"
        if self.is_safe:
            return f"safe: {compared}, after {self.canary.calls} calls of the canary"
        return f"undecided: {compared}, p = {min(1.0, self.p_value):.2g}"

    def as_state(self) -> dict[str, object]:
        """All that is kept between looks, for a JSON column."""
        return {
            "alpha": self.alpha,
            "margin": self.margin,
            "canary": [self.canary.calls, self.canary.failures],
            "rest": [self.rest.calls, self.rest.failures],
            "worse": self._worse,
            "no_worse": self._no_worse,
            "most_harm": self._most_harm,
        }

    @classmethod
    def from_state(cls, state: dict[str, object]) -> CanaryTest:
        """The test that `as_state` described."""
        canary, rest = state["canary"], state["rest"]
        worse, no_worse = state["worse"], state["no_worse"]
        assert isinstance(canary, list)
        assert isinstance(rest, list)
        assert isinstance(worse, list)
        assert isinstance(no_worse, list)
        return cls(
            alpha=float(str(state["alpha"])),
            margin=float(str(state["margin"])),
            canary=Arm(*canary),
            rest=Arm(*rest),
            _worse=[float(each) for each in worse],
            _no_worse=[float(each) for each in no_worse],
            _most_harm=float(str(state["most_harm"])),
        )


class _Increment:
    """Fisher's noncentral hypergeometric distribution of the canary's failures in one increment."""

    def __init__(self, canary: Arm, rest: Arm) -> None:
        failures = canary.failures + rest.failures
        self._observed = canary.failures
        self._first = max(0, failures - rest.calls)
        last = min(canary.calls, failures)
        self._weights = [
            _log_choose(canary.calls, x) + _log_choose(rest.calls, failures - x)
            for x in range(self._first, last + 1)
        ]

    def log_probability(self, odds_ratio: float) -> float:
        """Of what was observed, for one odds ratio."""
        step = log(odds_ratio)
        terms = [weight + i * step for i, weight in enumerate(self._weights)]
        most = max(terms)
        total = most + log(sum(exp(each - most) for each in terms))
        return terms[self._observed - self._first] - total


def _thinned(arm: Arm) -> Arm:
    """An arm of at most `_MOST_CALLS` calls with the same share of failures. Rounding down loses
    evidence, and invents none."""
    if arm.calls <= _MOST_CALLS:
        return arm
    return Arm(_MOST_CALLS, arm.failures * _MOST_CALLS // arm.calls)


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def _log_mean(logs: list[float]) -> float:
    """The logarithm of the mean of exponentials."""
    most = max(logs)
    return most + log(sum(exp(each - most) for each in logs) / len(logs))


def _ceiling(p: float) -> str:
    """The smallest of the usual bounds above p."""
    return next((f"{bound:g}" for bound in (0.0001, 0.001, 0.01, 0.05) if p < bound), f"{p:.2g}")
