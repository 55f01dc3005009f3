"""What this process obeys: bounds that its own code sets, whatever the dashboard says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from breakers.circuit.policy import FIELDS, Policy
from breakers.errors import PolicyError

REPORT_ONLY: Final = "report-only"
FORCED_STATES: Final = frozenset({"forced_open", "forced_closed", "metrics_only", "forced_partial"})
_OVERRIDES: Final = "overrides"

Bounds = tuple[float | None, float | None]
# Floor and ceiling where the code sets none: looser than any policy that does good.
DEFAULT_BOUNDS: Final[Mapping[str, Bounds]] = MappingProxyType(
    {
        "timeout": (0.01, None),
        "deadline": (0.01, None),
        "retries": (None, 10),
        "half_open_max_calls": (None, 100),
    }
)
# More attempts than this need a pause between them.
_ATTEMPTS_WITHOUT_PAUSE: Final = 3
_LEAST_PAUSE_S: Final = 0.01


@dataclass(frozen=True)
class Obedience:
    """Which overrides and which values of policies are applied.

    `bounds` are floor and ceiling by field, None for no bound. `states` are the overrides obeyed.
    `faults` are the breakers into whose calls faults may be injected; in production only with
    `faults_in_production`.
    """

    bounds: Mapping[str, Bounds] = field(default_factory=lambda: DEFAULT_BOUNDS)
    states: frozenset[str] = FORCED_STATES
    report_only: bool = False
    faults: frozenset[str] = frozenset()
    environment: str = ""
    faults_in_production: bool = False

    def refused_policy(self, fields: Mapping[str, object], declared: Policy) -> str:
        """Why a policy is not applied; empty if it is."""
        if self.report_only:
            return _ONLY_REPORTS
        for name, value in fields.items():
            if wrong := self._outside(name, value):
                return wrong
        return _storm(fields, declared)

    @property
    def warm_starts(self) -> bool:
        """Whether a breaker opens because those of other instances are open."""
        return not self.report_only and "forced_open" in self.states

    @property
    def records(self) -> bool:
        """Whether calls are recorded when the dashboard asks for it."""
        return not self.report_only

    def refused_override(self, state: str) -> str:
        """Why an override is not applied; empty if it is."""
        if self.report_only:
            return _ONLY_REPORTS
        if state in FORCED_STATES and state not in self.states:
            obeyed = ", ".join(sorted(self.states)) or "none"
            return f"{state} is not obeyed by this process (obey=); it obeys {obeyed}"
        return ""

    def refused_fault(self, breaker: str) -> str:
        """Why no fault is injected into calls of a breaker; empty if one may be."""
        if self.report_only:
            return _ONLY_REPORTS
        if breaker not in self.faults:
            return f"faults are not allowed at {breaker} by the code of this process (faults=)"
        name = self.environment.casefold()
        if name.startswith(_PRODUCTION) and not self.faults_in_production:
            return (
                f"this process runs in {self.environment}; its code allows no faults there "
                "(faults_in_production=)"
            )
        return ""

    def _outside(self, name: str, value: object) -> str:
        floor, ceiling = self.bounds.get(name, (None, None))
        if isinstance(value, bool) or not isinstance(value, int | float):
            return ""
        if (floor is None or value >= floor) and (ceiling is None or value <= ceiling):
            return ""
        return f"{name} is {value:g}; this process obeys {_range(floor, ceiling)} (obey=)"


# Names of environments that begin so are production.
_PRODUCTION: Final = ("prod", "live")
_ONLY_REPORTS: Final = "this process only reports (obey='report-only')"


def _range(floor: float | None, ceiling: float | None) -> str:
    if floor is None:
        return f"at most {ceiling:g}"
    return f"at least {floor:g}" if ceiling is None else f"{floor:g} to {ceiling:g}"


def _storm(fields: Mapping[str, object], declared: Policy) -> str:
    """Why a policy would retry without pauses; empty if it does not."""
    if fields.keys().isdisjoint({"retries", "retry_delay", "retry_delay_max"}):
        return ""
    try:
        policy = declared.replace(fields)
    except PolicyError:
        return ""  # refused with its own reason
    pause = min(policy.retry_delay, policy.retry_delay_max)
    if policy.retries > _ATTEMPTS_WITHOUT_PAUSE and pause < _LEAST_PAUSE_S:
        return (
            f"retries is {policy.retries} with retry_delay {pause:g}; more than "
            f"{_ATTEMPTS_WITHOUT_PAUSE} attempts need a pause of at least {_LEAST_PAUSE_S:g} s"
        )
    return ""


def read_obey(obey: str | Mapping[str, object] | None) -> Obedience:
    """What `agent.start(obey=…)` means: None for the defaults, "report-only", or floor and ceiling
    by field, laid over the defaults; the key `overrides` names the states to obey.

    >>> read_obey({"timeout": (0.1, 30.0), "overrides": ["forced_open"]}).bounds["timeout"]
    (0.1, 30.0)

    Raises:
        ValueError: naming the field, the value and what would be right.
    """
    if obey is None:
        return Obedience()
    if isinstance(obey, str):
        if obey != REPORT_ONLY:
            raise ValueError(
                f"obey is {obey!r}; it must be 'report-only' or floor and ceiling by field"
            )
        return Obedience(report_only=True)
    bounds, states = dict(DEFAULT_BOUNDS), FORCED_STATES
    for name, value in obey.items():
        if name == _OVERRIDES:
            states = _states(value)
        elif name not in FIELDS:
            raise ValueError(
                f"obey names {name!r}; it must be a field of a policy, or {_OVERRIDES!r}"
            )
        else:
            bounds[name] = _bounds(name, value)
    return Obedience(MappingProxyType(bounds), states)


def _states(value: object) -> frozenset[str]:
    states = frozenset(value) if isinstance(value, list | tuple | set | frozenset) else None
    if states is None or not states <= FORCED_STATES:
        known = ", ".join(sorted(FORCED_STATES))
        raise ValueError(f"obey['overrides'] is {value!r}; it must be a list of {known}")
    return states


def _bounds(name: str, value: object) -> Bounds:
    wrong = ValueError(
        f"obey[{name!r}] is {value!r}; it must be (floor, ceiling), each a number or None"
    )
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise wrong
    floor, ceiling = value
    for each in (floor, ceiling):
        if each is not None and (isinstance(each, bool) or not isinstance(each, int | float)):
            raise wrong
    if floor is not None and ceiling is not None and floor > ceiling:
        raise ValueError(f"obey[{name!r}] is {value!r}; the floor is above the ceiling")
    return floor, ceiling
