"""What must hold of an act before it is done; each names the field and what would be right."""

from __future__ import annotations

import math
from collections.abc import Sequence

from django.conf import settings
from django.core.exceptions import ValidationError

from breakers.protocol import names
from dashboard.control.models import FORCED_STATES

_STATES = dict(FORCED_STATES)


def check_force(
    service: str,
    breaker: str,
    state: str,
    expires_in_s: float,
    instances: Sequence[str] | None,
    share: float | None = None,
) -> None:
    """Whether a breaker can be forced so.

    Raises:
        ValidationError: by field.
    """
    errors = _wrong_names(service, breaker)
    if state not in _STATES:
        errors["state"] = f"{state!r} cannot be forced; there are {', '.join(_STATES)}."
    if wrong := _wrong_share(state, share):
        errors["share"] = wrong
    longest = settings.OVERRIDE_MAX_S
    if not math.isfinite(expires_in_s) or expires_in_s <= 0:
        errors["expires_in"] = "This is in the past; an override ends at a time to come."
    elif expires_in_s > longest:
        errors["expires_in"] = f"At most {longest / 86_400:.0f} days; renew it if it must stay."
    if instances is not None and (
        not instances
        or len(instances) > 10_000
        or not all(not names.problem(each) for each in instances)
    ):
        errors["instances"] = "Name at least one instance, or leave it empty for all of them."
    if errors:
        raise ValidationError(errors)


def check_names(service: str, breaker: str) -> None:
    """Whether these can be names.

    Raises:
        ValidationError: by field.
    """
    if errors := _wrong_names(service, breaker):
        raise ValidationError(errors)


def check_reason(reason: str) -> None:
    """Whether a reason, stripped, was given.

    Raises:
        ValidationError: for the field `reason`.
    """
    if not reason:
        raise ValidationError({"reason": "Say why: the next person on call reads it."})
    if len(reason) > 500:
        raise ValidationError({"reason": f"{len(reason)} characters; at most 500."})


def _wrong_share(state: str, share: float | None) -> str:
    if state != "forced_partial":
        return "" if share is None else f"Only forced_partial has a share; {state} has none."
    if share is None:
        return "Say which share of the calls passes, above 0 and up to 1 (100 %)."
    if not 0 < share <= 1:
        return f"{share:g} is no share that passes: above 0 and up to 1; to block all, force open."
    return ""


def _wrong_names(service: str, breaker: str) -> dict[str, str]:
    return {
        field: f"{name[:120]!a} cannot be the name of a {field}: {wrong}."
        for field, name in (("service", service), ("breaker", breaker))
        if (wrong := names.problem(name))
    }
