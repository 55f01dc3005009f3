"""The forms behind the buttons. They shape the input; the services decide."""

from datetime import UTC
from typing import Any

from django import forms
from django.utils import timezone

EXPIRIES = [("900", "15 min"), ("3600", "1 hour"), ("14400", "4 hours"), ("86400", "1 day")]
UNTIL = "until"


class ReleaseForm(forms.Form):
    """Back to automatic: only the reason is asked."""

    reason = forms.CharField(
        max_length=500,
        error_messages={"required": "Say why: whoever is on call next reads it."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "list": "reasons"}),
    )


class ForceForm(ReleaseForm):
    """A reason and an end: some minutes from now, or a time of day in UTC."""

    expires_in = forms.ChoiceField(
        label="For",
        choices=[*EXPIRIES, (UNTIL, "Until …")],
        initial="3600",
        widget=forms.RadioSelect,
        error_messages={"invalid_choice": "Choose one of the times offered, or Until."},
    )
    until = forms.DateTimeField(
        label="Until (UTC)",
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
                    self.add_error("until", "Say until when, in UTC.")
            else:
                left = until.astimezone(UTC) - timezone.now()
                cleaned["seconds"] = left.total_seconds()
        elif "expires_in" in cleaned:
            cleaned["seconds"] = float(cleaned["expires_in"])
        return cleaned
