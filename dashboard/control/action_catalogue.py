"""The acts that an operator can perform, and the reach of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dashboard.control.override_writes import Target


@dataclass(frozen=True)
class Act:
    """An act on breakers: its button and its effect on calls.

    `reach` is a template with `{calls}` and `{whom}`; `key` is its shortcut on the wall; `short`
    says in menus what happens to calls.
    """

    slug: str
    title: str
    state: str
    effect: str
    reach: str
    key: str
    needs_end: bool = True
    short: str = ""

    @property
    def label(self) -> str:
        """The title with what it does to calls, such as `Force open (block calls)`."""
        return f"{self.title} ({self.short})" if self.short else self.title


ACTS: Final = {
    act.slug: act
    for act in (
        Act(
            "force-open",
            "Force open",
            "forced_open",
            "Blocks every call at once; callers answer with their fallback or an error.",
            "Blocks {calls} from {whom}",
            "o",
            short="block calls",
        ),
        Act(
            "force-closed",
            "Force closed",
            "forced_closed",
            "Allows every call, whatever fails. The breaker measures and does not open.",
            "Allows {calls} from {whom}",
            "c",
            short="allow all calls",
        ),
        Act(
            "metrics-only",
            "Monitor only",
            "metrics_only",
            "Allows every call. The breaker reports when it would have opened.",
            "Allows {calls} from {whom}",
            "m",
        ),
        Act(
            "partial",
            "Limit to a share",
            "forced_partial",
            "Allows a share of the calls and refuses the others, the least important first.",
            "Allows a share of {calls} from {whom}",
            "p",
        ),
        Act(
            "automatic",
            "Back to automatic",
            "automatic",
            "Ends the override. After forced open the breaker lets test calls through first.",
            "Returns {calls} from {whom} to the breaker",
            "a",
            needs_end=False,
        ),
        Act(
            "reset",
            "Retry now",
            "reset",
            "Allows all calls for ten seconds, then automatic with empty counters.",
            "Allows {calls} from {whom}",
            "r",
            needs_end=False,
            short="allow all calls for 10 s",
        ),
    )
}

# The steps by which an operator lets traffic return, in per cent.
STEPS: Final = (5, 10, 25, 50, 100)


def next_step(share: float | None) -> int:
    """The step after a share that is let through, in per cent: the first where there is none.

    >>> next_step(None), next_step(0.05), next_step(0.3), next_step(1.0)
    (5, 10, 50, 100)
    """
    now = 0.0 if share is None else share * 100
    return next((step for step in STEPS if step > now + 0.5), STEPS[-1])


# An override ends after so many seconds unless its author says otherwise.
DEFAULT_END_S: Final = 1800.0

# From this reach on, the number of breakers or calls must be typed.
CONFIRM_BREAKERS, CONFIRM_CALLS = 10, 1000.0

# Scopes of an act, from the chosen breakers outwards.
SELECTED, INSTANCES, FLEET = "selected", "instances", "fleet"


@dataclass(frozen=True)
class Reach:
    """What an act affects: calls a second, instances, services, breakers."""

    rate: float
    instances: int
    services: int
    breakers: int
    fallbacks: int
    seen: int

    @property
    def needs_confirmation(self) -> bool:
        """Whether the number of breakers or of calls must be typed before the act."""
        return self.breakers >= CONFIRM_BREAKERS or self.rate >= CONFIRM_CALLS

    def is_confirmed_by(self, text: str) -> bool:
        """Whether a text is the number of breakers, or that of calls a second."""
        digits = text.replace(",", "").strip()
        return digits in (str(self.breakers), f"{self.rate:.0f}")

    def sentence(self, act: Act) -> str:
        """Such as `Stops 312 calls/s from 14 instances of 3 services`."""
        rate = f"{self.rate:.0f}" if self.rate >= 10 or not self.rate else f"{self.rate:.1f}"
        whom = f"{_count(self.instances, 'instance')} of {_count(self.services, 'service')}"
        said = act.reach.format(calls=f"{rate} calls/s", whom=whom) + "."
        if act.slug == "force-open" and self.seen:
            said += (
                f" A fallback answered {_count(self.fallbacks, 'call')} in the last ten seconds."
                if self.fallbacks
                else " Whether callers have a fallback is not known: none was used lately."
            )
        return said


def reach(snapshot: dict[str, Any], targets: Iterable[Target]) -> Reach:
    """The reach of an act on these targets, from the current snapshot. For an act on some
    instances the calls are prorated, because figures are kept by breaker, not by instance."""
    views = {
        (service["name"], each["name"]): each
        for service in snapshot["services"]
        for each in service["breakers"]
    }
    rate, fallbacks, seen = 0.0, 0, 0
    instances: set[tuple[str, str]] = set()
    services: set[str] = set()
    breakers = 0
    for target in targets:
        breakers += 1
        services.add(target.service)
        view = views.get((target.service, target.breaker))
        if view is None:
            continue
        seen += 1
        ids = {each["id"] for each in view["instances"]}
        meant = ids if target.instances is None else ids & set(target.instances)
        rate += view["rate"] * (len(meant) / len(ids) if ids else 0)
        fallbacks += view["counts"].get("fallback", 0)
        instances |= {(target.service, id) for id in meant}
    return Reach(rate, len(instances), len(services), breakers, fallbacks, seen)


def everywhere(snapshot: dict[str, Any], targets: Sequence[Target]) -> list[Target]:
    """The breakers of the same names in every service, the chosen ones first."""
    names = {each.breaker for each in targets}
    chosen = {(each.service, each.breaker) for each in targets}
    others = [
        Target(service["name"], each["name"])
        for service in snapshot["services"]
        for each in service["breakers"]
        if each["name"] in names and (service["name"], each["name"]) not in chosen
    ]
    return [*(Target(each.service, each.breaker) for each in targets), *others]


# Acts that reach every breaker of their names in more services than this are fleet-wide.
_FEW_SERVICES: Final = 2


def is_fleet_wide(snapshot: dict[str, Any], targets: Sequence[Target]) -> bool:
    """Whether an act reaches every breaker of its names, in several services. It then demands the
    password or a second factor again."""
    services = {each.service for each in targets}
    if len(services) <= _FEW_SERVICES or any(each.instances is not None for each in targets):
        return False
    return len(everywhere(snapshot, targets)) == len(targets)


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
