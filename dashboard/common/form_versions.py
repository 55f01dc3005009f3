"""Optimistic locking of forms: a form carries what its person has seen of the row that it changes.

Two people open a form, and both save. The second is told which fields the first has changed, and
nothing is saved until they have looked. The form carries a short keyed hash of each field, so that
secrets do not travel.
"""

from __future__ import annotations

from typing import Any, Final, cast

from django import forms
from django.db.models import Manager, Model
from django.http import QueryDict
from django.utils.crypto import salted_hmac

SEEN: Final = "seen_version"
_HEX: Final = 10
# Changes by themselves, and nobody edits it.
_UNSEEN: Final = frozenset({SEEN, "last_login"})


def version_of(row: Model, fields: list[str]) -> dict[str, str]:
    """A short hash of each field of a row; nothing for one that is not stored yet."""
    if row.pk is None:
        return {}
    return {name: _hash(name, _value(row, name)) for name in fields if hasattr(row, name)}


def _value(row: Model, name: str) -> str:
    value = getattr(row, name)
    if isinstance(value, Manager):
        return ",".join(map(str, sorted(value.values_list("pk", flat=True))))
    return str(value.pk) if isinstance(value, Model) else repr(value)


def _hash(name: str, text: str) -> str:
    return salted_hmac("form version", f"{name}={text}").hexdigest()[:_HEX]


class SeenVersion(forms.ModelForm):
    """A form that refuses to save over a change that its person has not seen. A request that names
    no version, of a script, saves as it is."""

    seen_version = forms.CharField(required=False, widget=forms.HiddenInput, max_length=4000)
    # Fields of the row that the form edits under other names.
    also_seen: tuple[str, ...] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Validation assigns the form's values to the row, so what is stored is read before.
        names = [name for name in self.fields if name not in _UNSEEN]
        self._stored = version_of(self.instance, [*names, *self.also_seen])
        self.initial[SEEN] = ",".join(f"{name}={each}" for name, each in self._stored.items())

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        given = self.data.get(self.add_prefix(SEEN), "")
        seen = dict(each.partition("=")[::2] for each in given.split(",") if each)
        changed = [name for name, each in self._stored.items() if seen and seen.get(name) != each]
        if changed:
            labels = [
                str(self.fields[name].label or name).lower() if name in self.fields else name
                for name in changed
            ]
            self.add_error(
                None,
                f"Somebody has changed {', '.join(labels)} while you edited this. Nothing was "
                "saved. Your values are below: look at them, and save again to replace theirs.",
            )
            # The next attempt is made in the knowledge of it.
            data = cast(QueryDict, self.data).copy()
            data[self.add_prefix(SEEN)] = self.initial[SEEN]
            self.data = data
        return cleaned
