"""The current state of one service, as frames bring it.

Merging is specified by the golden frames in tests/golden/frames, which the JavaScript store passes
too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from dashboard.fleet.frame_types import (
    BreakerAtInstance,
    BreakerView,
    Frame,
    InstanceView,
    OverCapacityView,
)
from dashboard.fleet.recent_window import SECONDS


def extend_minute(view: BreakerView, before: BreakerView | None, by: int) -> None:
    """Append the last seconds of a breaker to its known minute, which ended `by` seconds
    earlier."""
    minute = (before["spark"], before["spark_err"]) if before else ([], [])
    view["spark"] = _shifted(minute[0], view.pop("tail"), by)
    view["spark_err"] = _shifted(minute[1], view.pop("tail_err"), by)


def _shifted(minute: list[int], tail: list[int], by: int) -> list[int]:
    minute = minute or [0] * SECONDS
    if by > 0:
        by = min(by, SECONDS)
        minute = minute[by:] + [0] * by
    return minute[: SECONDS - len(tail)] + tail


@dataclass(slots=True)
class ServiceSnapshot:
    """The current state of one service, and the sequence number of its last frame."""

    seq: int = 0
    interval_s: float = 1.0
    breakers: dict[str, BreakerView] = field(default_factory=dict)
    instances: dict[str, InstanceView] = field(default_factory=dict)
    # Each breaker's instances: frames bring only those that have changed.
    at: dict[str, dict[str, BreakerAtInstance]] = field(default_factory=dict)
    # The second that each breaker's last minute ends with.
    seconds: dict[str, int] = field(default_factory=dict)
    over_capacity: OverCapacityView = field(
        default_factory=lambda: OverCapacityView(instances=0, breakers=0)
    )

    def merge(self, frame: Frame) -> None:
        """Merge one frame."""
        self.seq = frame["seq"]
        self.interval_s = frame["interval_s"]
        self.over_capacity = frame["over_capacity"]
        if frame["full"]:
            self._replace(frame)
            return
        self.instances.update({each["id"]: each for each in frame["instances"]})
        for id in frame["removed"]["instances"]:
            self.instances.pop(id, None)
            for name, known in self.at.items():
                if known.pop(id, None) is not None and name in self.breakers:
                    self.breakers[name]["instances"] = list(known.values())
        second = int(frame["at"])
        for each in views(frame):
            name = each["name"]
            before = self.breakers.get(name)
            if each["instances"] or before is None:
                each["instances"] = self._at(name, each["instances"])
            else:
                each["instances"] = before["instances"]
            if "tail" in each:
                extend_minute(each, before, second - self.seconds.get(name, second))
            self.seconds[name] = second
            self.breakers[name] = each
        for name in frame["removed"]["breakers"]:
            self._remove(name)

    def _replace(self, frame: Frame) -> None:
        """Take over a full frame. What is the same in it stays the same object: readers tell by
        that what has changed."""
        instances = {each["id"]: each for each in frame["instances"]}
        for id in self.instances.keys() - instances.keys():
            del self.instances[id]
        self.instances.update(instances)
        second = int(frame["at"])
        gone = set(self.breakers)
        for each in views(frame):
            name = each["name"]
            gone.discard(name)
            before, known = self.breakers.get(name), self.at.get(name, {})
            at = {one["id"]: one for one in each["instances"]}
            if before is not None and at == known:
                each["instances"] = before["instances"]
            else:
                self.at[name] = at = dict(sorted(at.items()))
                each["instances"] = list(at.values())
            if "tail" in each:
                extend_minute(each, None, 0)
            self.seconds[name] = second
            self.breakers[name] = each
        for name in gone:
            self._remove(name)

    def _remove(self, name: str) -> None:
        self.breakers.pop(name, None)
        self.at.pop(name, None)
        self.seconds.pop(name, None)

    def _at(self, name: str, changed: Iterable[BreakerAtInstance]) -> list[BreakerAtInstance]:
        """What is known of a breaker at each instance, in order, with what has changed."""
        known = self.at.get(name, {})
        at = known | {each["id"]: each for each in changed}
        if len(at) > len(known):
            at = dict(sorted(at.items()))
        self.at[name] = at
        return list(at.values())


def views(frame: Frame) -> Iterator[BreakerView]:
    """The breakers of a frame, one at a time: those of a full frame of a large service take much
    more memory than their text."""
    for each in frame["breakers"]:
        yield msgspec.json.decode(each) if isinstance(each, msgspec.Raw) else each
