"""The editor of a policy: one field for each knob, empty where code's own value stands."""

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError

from breakers.circuit.policy import FIELDS, FieldSpec, Policy
from dashboard.policies import services
from dashboard.policies.models import BreakerPolicy


def _field(spec: FieldSpec) -> forms.Field:
    unit = f" ({spec.unit})" if spec.unit else ""
    label = spec.name.replace("_", " ").capitalize() + unit
    if spec.choices:
        choices = [("", "as in code"), *((choice, choice) for choice in spec.choices)]
        return forms.ChoiceField(choices=choices, required=False, label=label)
    # Ranges are checked by the policy itself, so that code and form say the same.
    kind = forms.IntegerField if spec.kind is int else forms.FloatField
    field: forms.Field = kind(required=False, label=label)
    field.widget.attrs.update({"step": "1" if spec.kind is int else "any", "min": spec.minimum})
    return field


class PolicyForm(forms.ModelForm):
    """Fields are taken from `breakers.circuit.policy.FIELDS`; validation too."""

    reason = forms.CharField(
        required=False, max_length=500, help_text="Why: it is kept with the version."
    )

    class Meta:
        model = BreakerPolicy
        fields = ("service", "breaker")

    knobs: ClassVar[tuple[str, ...]] = tuple(FIELDS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        declared = {**Policy().as_dict(), **self.instance.declared}
        for name, spec in FIELDS.items():
            field = _field(spec)
            value = "off" if declared[name] is None else declared[name]
            field.help_text = f"{spec.help}. In code: {value}"
            field.widget.attrs["placeholder"] = f"{value}"
            field.initial = self.instance.fields.get(name)
            self.fields[name] = field

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        asked = {
            name: cleaned[name]
            for name in FIELDS
            if name in cleaned and cleaned[name] not in (None, "")
        }
        try:
            cleaned["policy_fields"] = services.check(asked, self.instance.declared)
        except ValidationError as error:
            self.add_error(None, error)
        return cleaned
