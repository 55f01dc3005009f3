"""The incident of the shop as its own processes lived through it, call by call, and what a replay
of it gets wrong. `python -m benchmarks.shop_incident` records it anew.

The truth is what four processes of profile-api really did to each call to posts, and the states
that their breakers reported. Times of states and of calls come to the dashboard in different
messages, so a state is compared within a twentieth of a second.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from breakers.circuit.policy import Policy
from dashboard.policies.whatif.history import Outcome, replay
from dashboard.policies.whatif.openings import place_outages
from dashboard.policies.whatif.recordings import RecordedCall, RecordedOutcome, replay_calls
from dashboard.policies.whatif.slots import Slot

FILE: Final = Path(__file__).with_name("shop_incident.json.gz")
_CLOCKS_DIFFER_S: Final = 0.05

Piece = tuple[float, float, str]


@dataclass(frozen=True)
class ShopIncident:
    """One recording: the policy that was in force, the calls, the rollups of history, and the
    states of each instance. Times are seconds since its beginning."""

    policy: Policy
    seconds: float
    calls: list[RecordedCall]
    starts: dict[str, float]
    slots: list[Slot]
    states: dict[str, list[Piece]]

    @property
    def refused(self) -> int:
        """The calls that were refused."""
        return sum(call.outcome == "rejected" for call in self.calls)

    def replay_recording(self) -> RecordedOutcome:
        """The calls one by one, under the policy that was in force."""
        timeout = self.policy.timeout
        starts = self.starts
        return replay_calls(
            self.calls, self.policy, self.seconds, starts=starts, recorded_timeout=timeout
        )

    def replay_history(self) -> Outcome:
        """The rollups and the times at which the breakers opened, under the policy that was in
        force."""
        strips = {
            name: [(begins, state) for begins, _, state in pieces]
            for name, pieces in self.states.items()
        }
        instances = len(self.states)
        slots = place_outages(self.slots, strips, self.policy, instances)
        return replay(slots, self.policy, instances)

    def error(self, found: Outcome) -> float:
        """The larger error in percent: seconds in a wrong state, or refused calls that differ; of a
        recording, the calls that go otherwise than they went."""
        differing = (
            found.differing
            if isinstance(found, RecordedOutcome)
            else abs(found.rejected - self.refused)
        )
        return 100 * max(self._wrong_seconds(found), differing / max(1, self.refused))

    def _wrong_seconds(self, found: Outcome) -> float:
        seconds = wrong = 0
        for (_, truth), strip in zip(sorted(self.states.items()), found.strips, strict=True):
            pieces = [(each.begins, each.ends, each.state) for each in strip.pieces]
            for second in range(int(self.seconds)):
                seconds += 1
                wrong += not _agree(truth, pieces, second + 0.5)
        return wrong / seconds


def _agree(truth: Sequence[Piece], pieces: Sequence[Piece], at: float) -> bool:
    shown = _state(pieces, at)
    near = (at - _CLOCKS_DIFFER_S, at, at + _CLOCKS_DIFFER_S)
    return any(_state(truth, each) == shown for each in near)


def _state(pieces: Sequence[Piece], at: float) -> str:
    return next((state for begins, ends, state in pieces if begins <= at < ends), "closed")


def load(file: Path = FILE) -> ShopIncident:
    """The incident that was recorded."""
    found: dict[str, Any] = json.loads(gzip.decompress(file.read_bytes()))
    return ShopIncident(
        Policy().replace(found["policy"]),
        found["seconds"],
        sorted(_calls(found["calls"]), key=lambda call: call.at),
        found["starts"],
        [Slot(**{**each, "buckets": _buckets(each)}) for each in found["slots"]],
        {name: [tuple(each) for each in pieces] for name, pieces in found["states"].items()},
    )


def _calls(rows: dict[str, list[tuple[float, str, float]]]) -> Iterator[RecordedCall]:
    for instance, calls in rows.items():
        for at, outcome, seconds in calls:
            yield RecordedCall(at, instance, outcome, seconds)


def _buckets(slot: dict[str, Any]) -> dict[int, int]:
    return {int(index): n for index, n in slot["buckets"].items()}


def save(found: dict[str, Any], file: Path = FILE) -> None:
    """Keep what was recorded; the same incident makes the same bytes."""
    file.write_bytes(gzip.compress(json.dumps(found, sort_keys=True).encode(), mtime=0))
