"""What a page or a message says of a breaker besides its name, and the action that would help."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from dashboard.alerts.observations import InstanceFacts
from dashboard.alerts.splits import open_only_on
from dashboard.fleet.frame_types import BreakerAtInstance, BreakerView, InstanceView

Node = tuple[str, str]
# Figures of a view are sums of ten seconds.
_VIEW_S: Final = 10
_BARELY: Final = 0.5
# Another breaker than the first cause is advised if so many times more of its calls fail.
_CLEARLY: Final = 2.0
_LETS_PASS: Final = frozenset({"forced_closed", "metrics_only"})


@dataclass(frozen=True, slots=True)
class Impact:
    """Figures of a breaker at this moment. `reaching_per_s` calls run, and `failing_per_s` of them
    fail; `lost_per_s` calls fail or are refused, and no fallback answers them."""

    open: int = 0
    instances: int = 0
    lost_per_s: float = 0.0
    has_fallback: bool = False
    only_on: str = ""
    state: str = ""
    reaching_per_s: float = 0.0
    failing_per_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Advice:
    """An action on a breaker (`act` is its name in addresses), and what it would do."""

    node: Node
    act: str
    label: str
    effect: str

    def __str__(self) -> str:
        return f"{self.label}: {self.effect}"


def impact_of(view: BreakerView, instances: Collection[InstanceFacts]) -> Impact:
    """The impact of a breaker."""
    live = [each for each in instances if not each.stale]
    fallbacks = view["counts"].get("fallback", 0)
    return Impact(
        open=sum(each.state in {"open", "half_open"} for each in live),
        instances=len(live),
        lost_per_s=max(0, view["failed"] + view["refused"] - fallbacks) / _VIEW_S,
        has_fallback=fallbacks > 0,
        only_on=open_only_on(live),
        state=view["state"],
        reaching_per_s=view["ran"] / _VIEW_S,
        failing_per_s=view["failed"] / _VIEW_S,
    )


def instances_of(
    rows: Iterable[BreakerAtInstance], infos: Mapping[str, InstanceView]
) -> dict[str, InstanceFacts]:
    """What is known of a breaker at each instance."""
    found = {}
    for each in rows:
        info = infos.get(each["id"])
        since = seen_at(infos, each) if each["stale"] else each["since_at"]
        version, zone = (info["version"], info["zone"]) if info else ("", "")
        tags = tuple(info.get("tags", ())) if info else ()
        found[each["id"]] = InstanceFacts(each["state"], since, version, zone, each["stale"], tags)
    return found


def seen_at(infos: Mapping[str, InstanceView], each: BreakerAtInstance) -> float:
    """When an instance reported last; since when it is in its state if that is not known."""
    info = infos.get(each["id"])
    return info["seen_at"] if info else each["since_at"]


def _would_help(impact: Impact) -> bool:
    """Whether an action would stop calls that fail, and few that succeed. Figures are of ten
    seconds: where most instances are open already, they are older than the trip."""
    if impact.state in {"", "forced_open"}:
        return False
    lets_pass = impact.state in _LETS_PASS
    if not lets_pass and not impact.only_on and 2 * impact.open > impact.instances:
        return True
    mostly_fails = impact.failing_per_s > impact.reaching_per_s / 2
    return mostly_fails and impact.failing_per_s >= _BARELY


def _still_failing(impact: Impact) -> float:
    """Calls a second that still get through and fail: none where all instances are open, whatever
    the last ten seconds had."""
    return impact.failing_per_s if impact.open < impact.instances else 0.0


def advise(impacts: Mapping[Node, Impact], first: Node) -> Advice | None:
    """The one action that would help most: on the breaker through which the most calls still fail,
    which is the first cause unless another one has clearly more. None if none would help."""
    free = {node: each for node, each in impacts.items() if _would_help(each)}
    if not free:
        return None
    node = max(free, key=lambda each: (_still_failing(free[each]), each))
    most = _still_failing(free[node])
    if first in free and most < _CLEARLY * _still_failing(free[first]) + _BARELY:
        node = first
    here = free[node]
    if here.state in _LETS_PASS:
        return Advice(
            node, "automatic", f"Release {node[1]}",
            f"the breaker may refuse the {here.failing_per_s:.0f} calls/s that fail",
        )  # fmt: skip
    if here.open < here.instances and here.reaching_per_s >= _BARELY:
        effect = f"stops the {here.reaching_per_s:.0f} calls/s that still reach it"
    else:
        effect = "stops the test calls, which are all that still reaches it"
    answer = "the fallback answers" if here.has_fallback else "callers get an error at once"
    return Advice(node, "force-open", f"Force {node[1]} open", f"{effect}; {answer}")
