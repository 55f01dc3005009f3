"""The editor of a policy: one text for each field, empty where it is inherited, `off` where it is
switched off. The pages and the admin use the same form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError

from breakers.circuit.policy import FieldSpec, Policy
from breakers.errors import PolicyError
from dashboard.policies import queries, services
from dashboard.policies.knobs import FLEET_FIELDS, KNOBS
from dashboard.policies.models import BreakerPolicy
from dashboard.policies.quantities import OFF, allowed, parse, show, wanted
from dashboard.policies.understanding import not_understood

GROUPS: Final = (
    (
        "Attempts and time",
        (
            *("timeout", "deadline", "retries", "retry_delay", "retry_delay_max"),
            *("retry_jitter", "retry_budget", "hedge_delay"),
        ),
    ),
    ("Limits", ("bulkhead_size", "rate_limit")),
    (
        "Trips",
        (
            *("failure_threshold", "failure_rate_threshold", "slow_call_duration"),
            *("slow_call_rate_threshold", "window_type", "window_size", "minimum_calls"),
        ),
    ),
    (
        "Recovery",
        (
            *("timeout_duration", "open_backoff_factor", "open_duration_max", "open_jitter"),
            *("throttle", "recovery_ramp"),
            *("success_threshold", "half_open_max_calls", "half_open_lease"),
        ),
    ),
    ("Rules of the fleet", tuple(FLEET_FIELDS)),
)


class QuantityField(forms.Field):
    """A field of a policy; its value is ..., where it is inherited."""

    def __init__(self, spec: FieldSpec, **options: Any) -> None:
        if spec.choices:
            choices = [("", "inherited"), *((each, each) for each in spec.choices)]
            options["widget"] = forms.Select(choices=choices)
        else:
            attributes = {"autocomplete": "off", "spellcheck": "false", "maxlength": 60}
            options["widget"] = forms.TextInput(attrs=attributes)
        super().__init__(required=False, label=spec.name.replace("_", " ").capitalize(), **options)
        self.spec = spec

    def prepare_value(self, value: Any) -> Any:
        return "" if value is ... else value

    def to_python(self, value: Any) -> Any:
        if value is None or value is ... or (isinstance(value, str) and not value.strip()):
            return ...
        try:
            return parse(self.spec, value if isinstance(value, str) else str(value))
        except PolicyError as error:
            wrong = f"{str(error.value)[:60]} is not allowed: it must be {wanted(self.spec)}."
            raise ValidationError(wrong) from None


class PolicyForm(forms.ModelForm):
    """Fields are taken from `dashboard.policies.knobs.KNOBS`; validation too.

    `base` is the version that the change began from. When somebody has saved meanwhile, fields that
    were left alone take the new values, and what was typed stays.
    """

    reason = forms.CharField(
        required=False, max_length=500, help_text="Why; it is kept with the version."
    )
    base = forms.IntegerField(required=False, min_value=0, widget=forms.HiddenInput)

    class Meta:
        model = BreakerPolicy
        fields = ("service", "breaker")

    knobs = tuple(KNOBS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        head = self.instance
        rows = queries.explained(head.service, head.breaker)
        # A row that is not saved yet can carry what its code declares.
        declared = head.declared if head.pk is None else {}
        unknown = not_understood(head.service, head.breaker)
        for row in rows:
            name = row.spec.name
            field = QuantityField(row.spec)
            below = declared.get(name, row.below)
            source = "code" if name in declared else row.below_source
            field.below, field.below_source = show(row.spec, below), source  # type: ignore[attr-defined]
            field.allowed = allowed(row.spec)  # type: ignore[attr-defined]
            field.is_obeyed = head.honours is None or name in head.honours  # type: ignore[attr-defined]
            field.not_understood = unknown[name].message if name in unknown else ""  # type: ignore[attr-defined]
            field.help_text = f"{row.spec.help}. Inherited: {field.below} ({source})."  # type: ignore[attr-defined]
            if name in unknown:
                field.help_text += f" {unknown[name].message}"
            if not row.spec.choices:
                field.widget.attrs["placeholder"] = field.below  # type: ignore[attr-defined]
            if name in head.fields:
                field.initial = show(row.spec, head.fields[name])
            self.fields[name] = field
        self.fields["base"].initial = head.number
        self.conflict: list[Any] = []

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        typed = {name: cleaned[name] for name in KNOBS if cleaned.get(name, ...) is not ...}
        below = queries.layers(
            cleaned.get("service") or self.instance.service,
            cleaned.get("breaker") or self.instance.breaker,
        )
        values: dict[str, Any] = {}
        own = list(below)[-1]
        for origin, fields in below.items():
            if origin != own:
                values.update(fields)
        if self.instance.pk is None:
            values.update(self.instance.declared)
        try:
            cleaned["policy_fields"] = services.check(typed, values)
        except ValidationError as error:
            self.add_error(None, error)
        else:
            self._check_times({**values, **cleaned["policy_fields"]}, cleaned["policy_fields"])
        return cleaned

    def _check_times(self, values: Mapping[str, Any], typed: Mapping[str, Any]) -> None:
        for field, message in services.contradictions(values).items():
            at = next((name for name in (field, *typed) if name in typed), None)
            if at is not None:
                self.add_error(at, message)

    def rebased(self) -> PolicyForm:
        """This form over the newest version: what was typed stays, what was left alone is new."""
        head = BreakerPolicy.objects.get(pk=self.instance.pk)
        base = self.data.get(self.add_prefix("base"))
        before = head.versions.filter(number=base or 0).first()
        began = before.fields if before else {}
        data: dict[str, Any] = {name: self.data[name] for name in self.data}
        for name, spec in KNOBS.items():
            key = self.add_prefix(name)
            old = show(spec, began[name]) if name in began else ""
            if (data.get(key) or "").strip() == old:
                data[key] = show(spec, head.fields[name]) if name in head.fields else ""
        data[self.add_prefix("base")] = str(head.number)
        return type(self)(data, instance=head)


def texts(fields: Mapping[str, Any]) -> dict[str, str]:
    """Fields of a policy as they are shown."""
    return {name: show(KNOBS[name], value) for name, value in fields.items() if name in KNOBS}


__all__ = ["GROUPS", "OFF", "Policy", "PolicyForm", "QuantityField", "texts"]
