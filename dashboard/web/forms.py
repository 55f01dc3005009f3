"""Forms of acts. They parse the input; the service layer validates and performs."""

from datetime import UTC
from typing import Any

import msgspec
from django import forms
from django.utils import timezone

from dashboard.control.action_catalogue import DEFAULT_END_S, FLEET, INSTANCES, SELECTED, STEPS
from dashboard.control.override_writes import Target

EXPIRIES = [
    ("900", "15 min"),
    ("1800", "30 min"),
    ("3600", "1 hour"),
    ("14400", "4 hours"),
    ("86400", "1 day"),
]
DEFAULT_EXPIRY = f"{DEFAULT_END_S:.0f}"
UNTIL = "until"


class TargetsField(forms.CharField):
    """Breakers as JSON, each as a pair of service and breaker."""

    widget = forms.HiddenInput

    def to_python(self, value: Any) -> Any:
        if not value:
            return []
        try:
            pairs = msgspec.json.decode(value, type=list[tuple[str, str]])
        except msgspec.DecodeError as error:
            raise forms.ValidationError(f"Not a list of service and breaker: {error}") from error
        return [Target(service, breaker) for service, breaker in pairs]


class ReleaseForm(forms.Form):
    """A reason and a scope: what ending an override needs."""

    reason = forms.CharField(
        max_length=500,
        error_messages={"required": "Give a reason: it is shown to everybody on call."},
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "list": "reasons", "enterkeyhint": "go"}
        ),
    )
    targets = TargetsField(required=False)
    act_id = forms.CharField(required=False, max_length=36, widget=forms.HiddenInput)
    scope = forms.ChoiceField(
        required=False, choices=[(each, each) for each in (SELECTED, INSTANCES, FLEET)]
    )
    instances = forms.Field(required=False, widget=forms.MultipleHiddenInput)
    confirm = forms.CharField(
        required=False,
        max_length=20,
        widget=forms.TextInput(attrs={"autocomplete": "off", "inputmode": "numeric"}),
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("scope") == INSTANCES and not cleaned.get("instances"):
            self.add_error("instances", "Choose at least one instance.")
        return cleaned


class ForceForm(ReleaseForm):
    """A reason and an end: some minutes from now, or a time of day in the viewer's zone."""

    expires_in = forms.ChoiceField(
        label="For",
        choices=[*EXPIRIES, (UNTIL, "Until …")],
        initial=DEFAULT_EXPIRY,
        widget=forms.RadioSelect,
        error_messages={"invalid_choice": "Choose one of the times offered, or Until."},
    )
    until = forms.DateTimeField(
        label="Until",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"],
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("expires_in") == UNTIL:
            until = cleaned.get("until")
            if until is None:
                if "until" not in self.errors:
                    self.add_error("until", "Say until when.")
            else:
                left = until.astimezone(UTC) - timezone.now()
                cleaned["seconds"] = left.total_seconds()
        elif "expires_in" in cleaned:
            cleaned["seconds"] = float(cleaned["expires_in"])
        return cleaned


class PartialForm(ForceForm):
    """A share of the calls in per cent, besides a reason and an end."""

    share = forms.IntegerField(
        label="Share of the calls that passes, in per cent",
        min_value=1,
        max_value=100,
        initial=STEPS[0],
        error_messages={
            "required": "Say which share passes, from 1 to 100.",
            "min_value": "At least 1; to block every call, force open.",
            "max_value": "At most 100: every call passes.",
        },
        widget=forms.NumberInput(attrs={"list": "steps", "inputmode": "numeric"}),
    )
