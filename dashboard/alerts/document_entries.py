"""The three sections of an alerts document: how an entry is read, and how it is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.core.exceptions import ValidationError

from dashboard.access.models import Team
from dashboard.alerts import routes, silences
from dashboard.alerts.document_fields import Errors, Fields
from dashboard.alerts.models import Channel, Route, Rule, Silence
from dashboard.alerts.rule_checks import checked
from dashboard.alerts.rule_kinds import KINDS, SEVERITIES

_SEVERITIES: Final = dict.fromkeys(SEVERITIES)
_RULE: Final = (
    "kind", "severity", "for_s", "service", "breaker", "tag", "team", "enabled", "params",
)  # fmt: skip
_ROUTE: Final = (
    "channel", "team", "service", "min_severity", "quiet_from", "quiet_to", "zone",
    "escalate_after_s", "enabled",
)  # fmt: skip
_SILENCE: Final = ("service", "breaker", "reason", "starts", "ends")


@dataclass(frozen=True, slots=True)
class Known:
    """What entries refer to by name."""

    teams: Mapping[str, Team]
    channels: Mapping[str, Channel]
    now: float

    @classmethod
    def read(cls, now: float) -> Known:
        """The teams and channels of this moment."""
        return cls(
            {each.name: each for each in Team.objects.all()},
            {each.name: each for each in Channel.objects.all()},
            now,
        )


def read_rule(name: str, content: Any, path: str, known: Known, errors: Errors) -> Rule:
    """A rule, and its errors."""
    fields = Fields(content, path, _RULE, errors)
    kind = fields.choice("kind", KINDS)
    rule = Rule(
        name=name,
        kind=kind,
        severity=fields.choice("severity", _SEVERITIES, "warning"),
        for_s=fields.number("for_s", KINDS[kind].for_s if kind in KINDS else 0.0),
        service=fields.text("service"),
        breaker=fields.text("breaker"),
        tag=fields.text("tag"),
        team=_team(fields, known),
        enabled=fields.flag("enabled", True),
        params=fields.numbers("params"),
    )
    if kind in KINDS:
        names = {param.name for param in KINDS[kind].params}
        try:
            checked(rule)
        except ValidationError as error:
            for field, messages in error.message_dict.items():
                is_own = field in names or field not in _RULE
                fields.wrong(f"params.{field}" if is_own else field, " ".join(messages))
    return rule


def rule_fields(rule: Rule) -> dict[str, Any]:
    """A rule as an entry: what is not set is left out."""
    entry: dict[str, Any] = {
        "kind": rule.kind, "severity": rule.severity, "for_s": _number(rule.for_s),
    }  # fmt: skip
    for name in ("service", "breaker", "tag"):
        if value := getattr(rule, name):
            entry[name] = value
    if rule.team is not None:
        entry["team"] = rule.team.name
    if not rule.enabled:
        entry["enabled"] = False
    if rule.params:
        entry["params"] = {name: _number(value) for name, value in sorted(rule.params.items())}
    return entry


def read_route(name: str, content: Any, path: str, known: Known, errors: Errors) -> Route:
    """A route, and its errors."""
    fields = Fields(content, path, _ROUTE, errors)
    channel = known.channels.get(fields.text("channel"))
    if channel is None:
        there = ", ".join(sorted(known.channels)) or "none"
        fields.wrong(
            "channel",
            f"There is no channel {fields.text('channel')!r}; there are {there}. A channel has "
            "secrets: it is added in the admin.",
        )
    route = Route(
        name=name,
        team=_team(fields, known),
        service=fields.text("service"),
        min_severity=fields.choice("min_severity", _SEVERITIES, "warning"),
        quiet_from=fields.hour("quiet_from"),
        quiet_to=fields.hour("quiet_to"),
        zone=fields.text("zone", "UTC", 60),
        escalate_after_s=fields.number("escalate_after_s", 0.0),
        enabled=fields.flag("enabled", True),
    )
    if channel is not None:
        route.channel = channel
    for field, message in routes.wrong_fields(route).items():
        fields.wrong(field, message)
    return route


def route_fields(route: Route) -> dict[str, Any]:
    """A route as an entry, without the secrets of its channel."""
    entry: dict[str, Any] = {"channel": route.channel.name, "min_severity": route.min_severity}
    if route.team is not None:
        entry["team"] = route.team.name
    if route.service:
        entry["service"] = route.service
    if route.quiet_from is not None:
        entry |= {"quiet_from": route.quiet_from, "quiet_to": route.quiet_to}
    if route.zone != "UTC":
        entry["zone"] = route.zone
    if route.escalate_after_s:
        entry["escalate_after_s"] = _number(route.escalate_after_s)
    if not route.enabled:
        entry["enabled"] = False
    return entry


def read_silence(content: Any, path: str, known: Known, errors: Errors) -> Silence | None:
    """A silence, and its errors; None if it has ended."""
    fields = Fields(content, path, _SILENCE, errors)
    ends = fields.time("ends")
    if ends is None:
        fields.wrong("ends", "A silence needs an end, such as 2027-01-31T12:00:00Z.")
        return None
    if ends <= known.now:
        return None
    silence = Silence(
        service=fields.text("service"),
        breaker=fields.text("breaker"),
        reason=fields.text("reason", most=300),
        starts=max(known.now, fields.time("starts") or known.now),
        ends=ends,
    )
    for field, message in silences.wrong_fields(silence, known.now).items():
        # One that exists may be nearer to its end than a new one.
        if field != "ends" or silence.ends > silence.starts + silences.SHORTEST_SILENCE_S:
            fields.wrong(field, message)
    return silence


def silence_fields(silence: Silence, now: float) -> dict[str, Any]:
    """A silence as an entry."""
    entry: dict[str, Any] = {"reason": silence.reason, "ends": _moment(silence.ends)}
    for name in ("service", "breaker"):
        if value := getattr(silence, name):
            entry[name] = value
    if silence.starts > now:
        entry["starts"] = _moment(silence.starts)
    return entry


def silence_name(silence: Silence) -> str:
    """What tells one silence from another: its patterns and its end."""
    return f"{silence} until {_moment(silence.ends)}"


def _team(fields: Fields, known: Known) -> Team | None:
    name = fields.text("team", most=80)
    if name and name not in known.teams:
        there = ", ".join(sorted(known.teams)[:10]) or "none"
        fields.wrong("team", f"There is no team {name!r}; there are {there}.")
    return known.teams.get(name)


def _number(value: float) -> float | int:
    return int(value) if value == int(value) else value


def _moment(at: float) -> str:
    return datetime.fromtimestamp(int(at), UTC).isoformat().replace("+00:00", "Z")
