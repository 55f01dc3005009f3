"""What is wrong with a rule, by field: values that are not valid, and values under which it could
never fire."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.core.exceptions import ValidationError

from dashboard.access.models import Team, TeamService
from dashboard.alerts.models import Rule
from dashboard.alerts.rule_kinds import KINDS, params_of
from dashboard.alerts.selection import ActiveRule
from dashboard.fleet.state import FORGET_AFTER_S

LONGEST_FOR_S: Final = 86_400.0


def checked(rule: Rule) -> Rule:
    """The rule with all parameters of its kind.

    Raises:
        ValidationError: by field; the parameters of its kind by their names.
    """
    wrong: dict[str, str] = {}
    try:
        rule.params = params_of(rule.kind, rule.params)
    except ValueError as error:
        wrong.update(error.args[0])
    else:
        wrong.update(_never(rule))
    if not 0 <= rule.for_s <= LONGEST_FOR_S:
        wrong["for_s"] = f"{rule.for_s:g} s; use 0 to {LONGEST_FOR_S:.0f} s."
    if wrong:
        raise ValidationError(wrong)
    return rule


def _never(rule: Rule) -> dict[str, str]:
    """Why a rule with valid parameters could never fire."""
    wrong = {}
    if KINDS[rule.kind].counts is not None:
        if rule.for_s:
            wrong["for_s"] = f"{rule.kind} is judged after each whole minute: use 0."
        if rule.tag:
            wrong["tag"] = (
                f"{rule.kind} could never fire: calls are not counted by version or zone."
            )
    elif (longest := _longest(rule)) is not None and rule.for_s >= longest[0]:
        wrong["for_s"] = (
            f"{rule.for_s:g} s could never fire: {longest[1]} after {longest[0]:g} s at the latest."
        )
    if rule.team is not None:
        wrong.update(_of_team(rule, rule.team))
    return wrong


def _longest(rule: Rule) -> tuple[float, str] | None:
    """For how long the condition of a kind can hold, and what ends it."""
    params = rule.params
    if rule.kind == "flapping":
        return params["within_s"], "the trips no longer count"
    if rule.kind == "override_ends":
        return params["before_s"], "the override ends"
    if rule.kind in {"forced_long", "not_applied"}:
        return float(settings.OVERRIDE_MAX_S), "an override ends"
    if rule.kind == "silent":
        return FORGET_AFTER_S, "a silent instance is forgotten"
    return None


def _of_team(rule: Rule, team: Team) -> dict[str, str]:
    patterns = tuple(TeamService.objects.filter(team=team).values_list("service", flat=True))
    if not patterns:
        return {"team": f"The team {team} has no services: the rule could never fire."}
    is_pattern = not rule.service or "*" in rule.service
    if is_pattern or any("*" in each and _overlaps(each, rule.service) for each in patterns):
        return {}
    if rule.service in patterns:
        return {}
    shown = ", ".join(sorted(patterns)[:5])
    return {
        "service": f"{rule.service} is no service of the team {team} ({shown}): the rule "
        "could never fire."
    }


def _overlaps(pattern: str, service: str) -> bool:
    return ActiveRule(0, "open_share", {}, 0, service=pattern).matches_service(service)
