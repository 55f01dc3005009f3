"""Results of what-ifs: the exact replay of recordings, and a result in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.core.exceptions import ValidationError

from breakers.circuit.policy import Policy
from breakers.errors import PolicyError
from dashboard.history import queries as history
from dashboard.history import recordings
from dashboard.policies import queries
from dashboard.policies.fleet_rules import quorum_rule
from dashboard.policies.knobs import sent
from dashboard.policies.models import Replay
from dashboard.policies.whatif.history import Outcome
from dashboard.policies.whatif.recordings import (
    ASSUMPTIONS,
    RecordedCall,
    RecordedOutcome,
    as_json,
    replay_calls,
)


def exact(
    service: str,
    breaker: str,
    fields: Mapping[str, Any],
    begins: float,
    ends: float,
    progress: Callable[[float], None] = lambda share: None,
) -> dict[str, Any]:
    """Replay the recorded calls of a range, one by one, under the policy in force and under a
    candidate. The strips are of the replay; `actual` counts what was recorded."""
    calls = [
        RecordedCall(call.at, call.instance, call.outcome, call.seconds)
        for call in recordings.calls(service, breaker, begins, ends)
    ]
    starts = recordings.starts(service, breaker, begins, ends)
    # Of the range that was recorded, not of the one that was asked for.
    ends = max((call.at + call.seconds for call in calls), default=ends)
    recorded_timeout = queries.effective(service, breaker)["timeout"]
    found = []
    for half, values in enumerate(
        (queries.effective(service, breaker), queries.effective(service, breaker, fields))
    ):
        policy, rule = policy_of(values), quorum_rule(values)
        found.append(
            replay_calls(
                calls,
                policy,
                ends,
                rule,
                lambda share, half=half: progress(half + share),  # type: ignore[misc]
                starts,
                recorded_timeout,
            )
        )
    before, after = found
    strips = history.strips(service, breaker, begins, ends)
    return {
        "source": Replay.RECORDINGS,
        "actual": {
            "calls": len(calls),
            "rejected": sum(call.outcome == "rejected" for call in calls),
            "failures": sum(call.outcome in ("failure", "timeout") for call in calls),
            "strips": {
                name: [[piece["from"], piece["to"], piece["state"]] for piece in pieces]
                for name, pieces in strips.items()
            },
        },
        "in_force": as_json(before),
        "candidate": as_json(after),
        "instances": len({call.instance for call in calls}),
        "step_s": 0.0,
        "assumptions": list(ASSUMPTIONS),
        "sentence": sentence(before, after) + _assumed(after) + _differing(before),
    }


def _assumed(after: RecordedOutcome) -> str:
    if not after.assumed:
        return " The replay is exact: the outcome of each call it lets through was recorded."
    return f" The outcome of {after.assumed:,} calls that were refused is assumed."


def _differing(before: RecordedOutcome) -> str:
    """The error of the replay, measured on this recording."""
    return (
        f" Under the policy in force {before.differing:,} of {before.calls:,} calls go otherwise "
        "than they went."
    )


def sentence(before: Outcome, after: Outcome) -> str:
    """What a candidate changes, in one sentence."""
    if not before.calls:
        return "There is no traffic in this range to replay."
    return (
        f"Of {after.calls:,} calls the candidate refuses {after.rejected:,} "
        f"(the policy in force {before.rejected:,}), avoids {after.failures_avoided:,} failures "
        f"({before.failures_avoided:,}), lets {after.failures:,} fail "
        f"({before.failures:,}), loses {after.successes_lost:,} successes "
        f"({before.successes_lost:,}) and trips {after.trips} times ({before.trips})."
    )


def policy_of(values: Mapping[str, Any]) -> Policy:
    """The policy of complete values.

    Raises:
        ValidationError: at the field that is wrong.
    """
    try:
        return Policy().replace(sent(values))
    except PolicyError as error:
        raise ValidationError({error.field: str(error)}) from None
