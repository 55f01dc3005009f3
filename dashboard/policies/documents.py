"""All policies as one document, for files in git: exported, compared and applied as a whole.

A document is the full truth: a scope that it does not name sets nothing. Values are texts as the
form takes them, such as `250 ms`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import transaction

from breakers.errors import PolicyError
from dashboard.access.authority import Anyone, demand, visible_services
from dashboard.access.models import Person
from dashboard.access.roles import CHANGE_POLICIES
from dashboard.policies import queries, services
from dashboard.policies.knobs import KNOBS
from dashboard.policies.models import AppliedDocument, BreakerPolicy
from dashboard.policies.quantities import parse, show, wanted
from dashboard.policies.understanding import marked, not_understood
from dashboard.policies.whatif.runs import judge_incidents

MAX_SCOPES: Final = 5000
_APPLIED_KEPT: Final = 20
_KEYS: Final = {"fleet", "services"}
_SERVICE_KEYS: Final = {"all", "breakers"}

Scope = tuple[str, str]
Fields = dict[str, Any]


def export(person: Person) -> dict[str, Any]:
    """Every policy that sets something, in order of names, of the services that a person sees."""
    visible = visible_services(person)
    document: dict[str, Any] = {"fleet": {}, "services": {}}
    rows = BreakerPolicy.objects.exclude(fields={}).order_by("service", "breaker")
    for row in rows:
        if row.service and row.service not in visible:
            continue
        shown = _texts(row.fields)
        if not row.service:
            document["fleet"] = shown
            continue
        service = document["services"].setdefault(row.service, {})
        if row.breaker:
            service.setdefault("breakers", {})[row.breaker] = shown
        else:
            service["all"] = shown
    return document


def plan(person: Person, document: Any) -> dict[str, Any]:
    """What applying a document would change, how the saved incidents would go, which of the fields
    connected agents do not understand, and `base`, the versions that this was compared with.

    Raises:
        ValidationError: by path, such as `services.shop.breakers.posts.timeout`.
    """
    wanted_scopes = read(document)
    current = _current(person)
    known = _known()
    changes: list[dict[str, Any]] = []
    errors: dict[str, str] = {}
    incidents: list[dict[str, Any]] = []
    unknown: list[dict[str, Any]] = []
    for scope in sorted({*wanted_scopes, *current}):
        service, breaker = scope
        if scope in wanted_scopes and breaker and scope not in known:
            errors[_path(scope)] = f"No instance of {service} has reported a breaker {breaker!r}."
            continue
        before = current.get(scope, (0, {}))[1]
        after = wanted_scopes.get(scope, {})
        difference = queries.diff(before, after)
        if not difference:
            continue
        changes += [
            {
                "service": service,
                "breaker": breaker,
                "field": name,
                "before": _shown(name, change, "before"),
                "after": _shown(name, change, "after"),
            }
            for name, change in difference.items()
        ]
        gained = {name: change for name, change in difference.items() if "after" in change}
        found = not_understood(service, breaker) if gained else {}
        unknown += [
            {"service": service, "breaker": breaker, **each.as_dict()}
            for each in marked(gained, found)
        ]
        if breaker:
            candidate = queries.effective(service, breaker, after)
            incidents += judge_incidents(service, breaker, candidate)
    if errors:
        raise ValidationError(errors)
    return {
        "changes": changes,
        "incidents": incidents,
        "is_worse": any(each["is_worse"] for each in incidents),
        "not_understood": unknown,
        "base": {_key(scope): number for scope, (number, _) in sorted(current.items())},
    }


def apply(
    person: Person, document: Any, reason: str, base: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Put a document in force, in one transaction. `base` are the versions of the plan.

    Raises:
        PermissionDenied, ValidationError: nothing has changed then.
    """
    with transaction.atomic():
        found = plan(person, document)
        wanted_scopes, current = read(document), _current(person)
        if base is not None:
            for scope in sorted({*wanted_scopes, *current}):
                number = current.get(scope, (0, {}))[0]
                if number != base.get(_key(scope), 0):
                    raise services.PolicyConflict(
                        queries.versions_since(*scope, base.get(_key(scope), 0))
                    )
        for scope in sorted({*wanted_scopes, *current}):
            after = wanted_scopes.get(scope, {})
            if queries.diff(current.get(scope, (0, {}))[1], after):
                try:
                    services.save(person, *scope, after, reason)
                except ValidationError as error:
                    if not hasattr(error, "error_dict"):
                        raise
                    raise ValidationError(
                        {
                            f"{_path(scope)}.{field}": messages
                            for field, messages in error.message_dict.items()
                        }
                    ) from error
        _keep_applied(person, {**{key: {} for key in current}, **wanted_scopes}, reason)
    return found


def _keep_applied(person: Person, scopes: Mapping[Scope, Mapping[str, Any]], reason: str) -> None:
    AppliedDocument.objects.create(
        scopes=[[*scope, dict(fields)] for scope, fields in sorted(scopes.items())],
        reason=reason.strip()[:500],
        by=person.get_username(),
    )
    old = list(AppliedDocument.objects.values_list("pk", flat=True)[_APPLIED_KEPT:])
    AppliedDocument.objects.filter(pk__in=old).delete()


@dataclass(frozen=True)
class Edit:
    """A field that was edited here since a document was applied."""

    service: str
    breaker: str
    field: str
    applied: str
    now: str
    by: str


@dataclass(frozen=True)
class Drift:
    """The document that was applied last, and what was edited here since then."""

    document: AppliedDocument
    edits: list[Edit]


def drift(person: Anyone, service: str | None = None, breaker: str = "") -> Drift | None:
    """What differs from the document that was applied last, of the services that a person sees or
    of one scope; None where none was applied."""
    document = AppliedDocument.objects.first()
    if document is None:
        return None
    applied = {(row[0], row[1]): row[2] for row in document.scopes}
    edits = []
    for scope, (_, fields) in sorted(_current(person).items()):
        if service is not None and scope != (service, breaker):
            continue
        changes = queries.diff(applied.get(scope, {}), fields)
        if not changes:
            continue
        (latest, *_) = queries.versions(*scope, limit=1)
        edits += [
            Edit(*scope, name, _shown(name, each, "before"), _shown(name, each, "after"), latest.by)
            for name, each in changes.items()
        ]
    return Drift(document, edits)


def read(document: Any) -> dict[Scope, Fields]:
    """The fields of each scope of a document.

    Raises:
        ValidationError: by path.
    """
    errors: dict[str, str] = {}
    scopes: dict[Scope, Fields] = {}
    root = _mapping(document, "document", errors)
    _unknown(root, _KEYS, "", errors)
    if fleet := _mapping(root.get("fleet") or {}, "fleet", errors):
        scopes["", ""] = _fields(fleet, "fleet", errors)
    for service, content in _mapping(root.get("services") or {}, "services", errors).items():
        path = f"services.{service}"
        inner = _mapping(content or {}, path, errors)
        _unknown(inner, _SERVICE_KEYS, path, errors)
        if inner.get("all"):
            scopes[str(service), ""] = _fields(inner["all"], f"{path}.all", errors)
        breakers = _mapping(inner.get("breakers") or {}, f"{path}.breakers", errors)
        for breaker, fields in breakers.items():
            at = f"{path}.breakers.{breaker}"
            scopes[str(service), str(breaker)] = _fields(fields or {}, at, errors)
    if len(scopes) > MAX_SCOPES:
        errors["document"] = f"{len(scopes)} policies; at most {MAX_SCOPES}."
    if errors:
        raise ValidationError(dict(list(errors.items())[:50]))
    return scopes


def _mapping(value: Any, path: str, errors: dict[str, str]) -> dict[Any, Any]:
    if isinstance(value, dict):
        return value
    errors[path] = f"It must be a mapping, not {type(value).__name__}."
    return {}


def _unknown(found: Mapping[Any, Any], known: set[str], path: str, errors: dict[str, str]) -> None:
    for key in found:
        if key not in known:
            where = f"{path}.{key}" if path else str(key)
            errors[where[:200]] = f"There is no such key; there are {', '.join(sorted(known))}."


def _fields(content: Any, path: str, errors: dict[str, str]) -> Fields:
    fields: Fields = {}
    for name, value in _mapping(content, path, errors).items():
        at = f"{path}.{name}"
        spec = KNOBS.get(str(name))
        if spec is None:
            errors[at[:200]] = "There is no such field."
            continue
        try:
            # YAML reads an unquoted `off` as false.
            text = "off" if value is None or value is False else str(value)
            fields[str(name)] = parse(spec, text)
        except PolicyError as error:
            errors[at] = f"{str(error.value)[:60]} is not allowed: it must be {wanted(spec)}."
    return fields


def _current(person: Anyone) -> dict[Scope, tuple[int, Fields]]:
    visible = visible_services(person)
    return {
        (row.service, row.breaker): (row.number, row.fields)
        for row in BreakerPolicy.objects.exclude(number=0)
        if not row.service or row.service in visible
    }


def _known() -> set[Scope]:
    return set(BreakerPolicy.objects.values_list("service", "breaker"))


def demand_plan(person: Person) -> None:
    """Raise `PermissionDenied` unless the person may change policies everywhere."""
    demand(person, CHANGE_POLICIES)


def _texts(fields: Mapping[str, Any]) -> dict[str, str]:
    return {name: show(KNOBS[name], fields[name]) for name in KNOBS if name in fields}


def _shown(name: str, change: Mapping[str, Any], side: str) -> str:
    return show(KNOBS[name], change[side]) if side in change else "inherited"


def _key(scope: Scope) -> str:
    return "\n".join(scope)


def _path(scope: Scope) -> str:
    service, breaker = scope
    if not service:
        return "fleet"
    return f"services.{service}.breakers.{breaker}" if breaker else f"services.{service}.all"
