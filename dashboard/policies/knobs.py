"""Every field of a policy: those that agents apply, and those that the dashboard applies itself.

Rules of the fleet look at many instances at once, so no single process can apply them. They are
versioned, inherited, exported and shown like every other field, and are not sent to agents.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from breakers.circuit.policy import FIELDS, FieldSpec, Policy

_SPECS: Final = (
    FieldSpec(
        "quorum_share",
        float,
        None,
        "Quorum trip: when this share of the instances opened by themselves, the rest are opened",
        "fleet",
        0.01,
        1.0,
        "",
        True,
    ),
    FieldSpec(
        "quorum_instances",
        int,
        2,
        "Quorum trip: instances that must have opened by themselves, at least",
        "fleet",
        2,
        5000,
    ),
    FieldSpec(
        "quorum_zones",
        int,
        1,
        "Quorum trip: zones in which they must have opened, at least",
        "fleet",
        1,
        100,
    ),
    FieldSpec(
        "quorum_within",
        float,
        10.0,
        "Quorum trip: time within which they must have opened",
        "fleet",
        1.0,
        600.0,
        "s",
    ),
    FieldSpec(
        "quorum_hold",
        float,
        30.0,
        "Quorum trip: time for which the rest stay open at most",
        "fleet",
        5.0,
        600.0,
        "s",
    ),
    FieldSpec(
        "criticality",
        str,
        "default",
        "What callers lose without it; the linter looks for a fallback where it is critical",
        "fleet",
        choices=("critical", "default", "sheddable"),
    ),
    FieldSpec(
        "warm_start",
        float,
        0.5,
        "A new instance starts open when this share of the others, and at least two, are open",
        "fleet",
        0.01,
        1.0,
        "",
        True,
    ),
)
FLEET_FIELDS: Final[Mapping[str, FieldSpec]] = {spec.name: spec for spec in _SPECS}
KNOBS: Final[Mapping[str, FieldSpec]] = {**FIELDS, **FLEET_FIELDS}


def defaults() -> dict[str, Any]:
    """The value of every field that nobody sets."""
    return {**Policy().as_dict(), **{spec.name: spec.default for spec in _SPECS}}


def sent(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that agents apply."""
    return {name: value for name, value in fields.items() if name not in FLEET_FIELDS}
