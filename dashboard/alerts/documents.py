"""Alert rules, routes and silences as one document, for files in git.

A section that a document has is the full truth: what it does not name is removed. A section that
it does not have stays as it is. Channels are named by routes and are not part of it: they have
secrets.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Model

from dashboard.access.authority import demand
from dashboard.access.models import Person
from dashboard.access.roles import ADMINISTER
from dashboard.access.services import audit
from dashboard.alerts import previews, silences
from dashboard.alerts.document_entries import (
    Known,
    read_route,
    read_rule,
    read_silence,
    route_fields,
    rule_fields,
    silence_fields,
    silence_name,
)
from dashboard.alerts.document_fields import MAX_ERRORS, Errors, mapping
from dashboard.alerts.models import Route, Rule, Silence

SECTIONS: Final = ("rules", "routes", "silences")
MAX_ENTRIES: Final = 500
_PREVIEWS: Final = 10
_MAX_NAME: Final = 80


class DocumentConflict(ValidationError):
    """Something has changed since the plan."""

    def __init__(self) -> None:
        super().__init__(
            "Rules, routes or silences have changed since the plan. Nothing was applied; "
            "plan again."
        )


@dataclass(frozen=True, slots=True)
class _Entries:
    """A section: what is stored and what is wanted, by name, and how an entry is shown."""

    stored: dict[str, Any]
    wanted: dict[str, Any]
    fields: Callable[[Any], dict[str, Any]]


def export(person: Person, now: float | None = None) -> dict[str, Any]:
    """All rules and routes, and the silences that have not ended.

    Raises:
        PermissionDenied: the person is no administrator.
    """
    demand(person, ADMINISTER)
    return _document(time.time() if now is None else now)


def plan(person: Person, document: Any, now: float | None = None) -> dict[str, Any]:
    """What applying a document would change, how often the new and changed rules would have fired,
    and `base`, which tells what this was compared with.

    Raises:
        PermissionDenied: the person is no administrator.
        ValidationError: by path, such as `rules.Open.params.share_pct`.
    """
    demand(person, ADMINISTER)
    now = time.time() if now is None else now
    sections = _sections(document, now)
    changes = [each for name, entries in sections.items() for each in _changes(name, entries)]
    return {"changes": changes, "previews": _previews(sections.get("rules"), now),
            "base": _base(now)}  # fmt: skip


@transaction.atomic
def apply(
    person: Person, document: Any, reason: str, base: str | None = None, now: float | None = None
) -> dict[str, Any]:
    """Put a document in force, in one transaction. `base` is that of the plan.

    Raises:
        PermissionDenied, DocumentConflict, ValidationError: nothing has changed then.
    """
    demand(person, ADMINISTER)
    now = time.time() if now is None else now
    for model in (Rule, Route, Silence):
        list(model._default_manager.select_for_update().values_list("pk"))
    if base is not None and base != _base(now):
        raise DocumentConflict
    sections = _sections(document, now)
    changes = [each for name, entries in sections.items() for each in _changes(name, entries)]
    for name, entries in sections.items():
        _store(person, name, entries, now)
    if changes:
        paths = [each["path"] for each in changes][:100]
        audit(person, "alerts applied", reason=reason.strip()[:500], changed=paths)
    return {"changes": changes, "previews": [], "base": _base(now)}


def _document(now: float) -> dict[str, Any]:
    stored = _stored(now)
    return {
        "rules": {name: rule_fields(each) for name, each in stored["rules"].items()},
        "routes": {name: route_fields(each) for name, each in stored["routes"].items()},
        "silences": [silence_fields(each, now) for each in stored["silences"].values()],
    }


def _stored(now: float) -> dict[str, dict[str, Any]]:
    return {
        "rules": {each.name: each for each in Rule.objects.select_related("team")},
        "routes": {each.name: each for each in Route.objects.select_related("team", "channel")},
        "silences": {silence_name(each): each for each in silences.lasting(now)},
    }


def _base(now: float) -> str:
    body = json.dumps(_document(now), sort_keys=True)
    return hashlib.sha256(body.encode()).hexdigest()


def _sections(document: Any, now: float) -> dict[str, _Entries]:
    """The sections that a document has.

    Raises:
        ValidationError: by path.
    """
    errors: Errors = {}
    root = mapping(document, "document", errors)
    for key in root:
        if key not in SECTIONS:
            errors[str(key)[:60]] = f"There is no such key; there are {', '.join(SECTIONS)}."
    stored, known = _stored(now), Known.read(now)
    found: dict[str, _Entries] = {}
    for section, read, shown in (
        ("rules", read_rule, rule_fields), ("routes", read_route, route_fields),
    ):  # fmt: skip
        if section in root:
            wanted = _named(section, root[section], read, known, errors)
            found[section] = _Entries(stored[section], wanted, shown)
    if "silences" in root:
        found["silences"] = _Entries(
            stored["silences"],
            _silences(root["silences"], known, errors),
            lambda each: silence_fields(each, now),
        )
    if errors:
        raise ValidationError(dict(list(errors.items())[:MAX_ERRORS]))
    return found


def _named(
    section: str, content: Any, read: Callable[..., Model], known: Known, errors: Errors
) -> dict[str, Any]:
    entries = mapping({} if content is None else content, section, errors)
    if len(entries) > MAX_ENTRIES:
        errors[section] = f"{len(entries)} entries; at most {MAX_ENTRIES}."
        return {}
    found = {}
    for key, each in entries.items():
        name, path = str(key), f"{section}.{str(key)[:_MAX_NAME]}"
        if not 1 <= len(name.strip()) <= _MAX_NAME:
            errors[path] = f"A name has 1 to {_MAX_NAME} characters."
        found[name] = read(name, each if each is not None else {}, path, known, errors)
    return found


def _silences(content: Any, known: Known, errors: Errors) -> dict[str, Any]:
    entries = [] if content is None else content
    if not isinstance(entries, list):
        errors["silences"] = f"It must be a list, not {type(content).__name__}."
        return {}
    if len(entries) > MAX_ENTRIES:
        errors["silences"] = f"{len(entries)} entries; at most {MAX_ENTRIES}."
        return {}
    found: dict[str, Any] = {}
    for n, each in enumerate(entries):
        silence = read_silence(each, f"silences.{n}", known, errors)
        if silence is not None:
            if silence_name(silence) in found:
                errors[f"silences.{n}"] = "Another entry has the same patterns and end."
            found[silence_name(silence)] = silence
    return found


def _changes(section: str, entries: _Entries) -> list[dict[str, str]]:
    changes = []
    for name in sorted({*entries.stored, *entries.wanted}):
        before = _fields(entries, entries.stored.get(name))
        after = _fields(entries, entries.wanted.get(name))
        path = f"{section}.{name}"
        if not before or not after:
            changes.append({"path": path, "before": _text(before), "after": _text(after)})
            continue
        changes += [
            {"path": f"{path}.{field}", "before": _text(before.get(field)),
             "after": _text(after.get(field))}
            for field in sorted({*before, *after})
            if before.get(field) != after.get(field)
        ]  # fmt: skip
    return changes


def _fields(entries: _Entries, entry: Any) -> dict[str, Any]:
    return {} if entry is None else entries.fields(entry)


def _text(value: Any) -> str:
    if value is None or value == {}:
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(each)}" for name, each in value.items())
    return "off" if value is False else str(value)


def _previews(rules: _Entries | None, now: float) -> list[dict[str, Any]]:
    """How often the rules that are new or differ would have fired; of the first few."""
    if rules is None:
        return []
    changed = [
        rule
        for name, rule in rules.wanted.items()
        if rule.enabled and _fields(rules, rules.stored.get(name)) != rules.fields(rule)
    ]
    found = []
    for rule in changed[:_PREVIEWS]:
        seen = previews.preview(rule, now)
        found.append(
            {"rule": rule.name, **{key: seen[key] for key in ("count", "days", "cut", "unknown")}}
        )
    return found


def _store(person: Person, section: str, entries: _Entries, now: float) -> None:
    for name in sorted(entries.stored.keys() - entries.wanted.keys()):
        if section == "silences":
            silences.end_silence(person, entries.stored[name].pk, now)
        else:
            entries.stored[name].delete()
    for name, wanted in entries.wanted.items():
        stored = entries.stored.get(name)
        if stored is not None and entries.fields(stored) == entries.fields(wanted):
            continue
        if section == "silences" and stored is None:
            silences.add_silence(
                person, wanted.service, wanted.breaker, wanted.reason,
                ends=wanted.ends, starts=wanted.starts, now=now,
            )  # fmt: skip
            continue
        if stored is not None:
            wanted.pk = stored.pk
        if section == "silences":
            wanted.by = person.get_username()
        wanted.save()
