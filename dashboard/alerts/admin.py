"""Channels, routes and silences in the admin. Each change is an entry in the audit log."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from dashboard.access.models import Person
from dashboard.access.services import audit
from dashboard.alerts import channel_settings
from dashboard.alerts.models import Channel, Route, Silence
from dashboard.alerts.routes import wrong_fields
from dashboard.alerts.silences import LONGEST_SILENCE_S


class ChannelForm(forms.ModelForm):
    """An address and a secret are entered, and never shown again. Left empty, they stay."""

    class Meta:
        model = Channel
        fields = ("name", "kind", "url", "secret", "enabled")
        widgets = {
            "url": forms.PasswordInput(render_value=False),
            "secret": forms.PasswordInput(render_value=False),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Assigning the form's values to the instance would lose the known ones.
        self._known = (self.instance.url, self.instance.secret) if self.instance.pk else ("", "")
        self.fields["url"].required = not self._known[0]
        if self.instance.pk:
            for name in ("url", "secret"):
                self.fields[name].help_text = "It is not shown. Leave it empty to keep it."

    def clean_url(self) -> str:
        """The new address, or the known one."""
        return str(self.cleaned_data["url"] or self._known[0])

    def clean_secret(self) -> str:
        """The new secret, or the known one."""
        return str(self.cleaned_data["secret"] or self._known[1])

    def _post_clean(self) -> None:
        """The checks of a channel, at its fields."""
        super()._post_clean()  # type: ignore[misc]
        _add_errors(self, channel_settings.wrong_fields(self.instance))


class RouteForm(forms.ModelForm):
    """A route whose quiet hours can be understood."""

    class Meta:
        model = Route
        fields = (
            "name", "channel", "team", "service", "min_severity", "quiet_from", "quiet_to", "zone",
            "escalate_after_s", "enabled",
        )  # fmt: skip

    def _post_clean(self) -> None:
        """The checks of a route, at its fields."""
        super()._post_clean()  # type: ignore[misc]
        _add_errors(self, wrong_fields(self.instance))


def _add_errors(form: forms.ModelForm, wrong: Mapping[str, str]) -> None:
    for name, message in wrong.items():
        if name not in form.errors:
            form.add_error(name, message)


class SilenceForm(forms.ModelForm):
    """A silence with an end that is not too far away."""

    class Meta:
        model = Silence
        fields = ("service", "breaker", "reason", "by", "starts", "ends")

    def clean(self) -> dict[str, Any] | None:
        """It ends after it starts."""
        cleaned = super().clean() or self.cleaned_data
        starts, ends = cleaned.get("starts", time.time()), cleaned.get("ends")
        if ends is not None and not 0 < ends - starts <= LONGEST_SILENCE_S:
            self.add_error("ends", "A silence ends after it starts, and lasts at most 30 days.")
        return cleaned


class AuditedAdmin(admin.ModelAdmin):
    """Writes an entry for each addition, change and deletion, in the transaction of it."""

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        """Save, and name the fields that were changed; not their values, which may be secret."""
        super().save_model(request, obj, form, change)
        self._audit(request, obj, "changed" if change else "added", fields=form.changed_data)

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        """Delete one."""
        self._audit(request, obj, "deleted")
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Delete several."""
        for each in queryset:
            self._audit(request, each, "deleted")
        super().delete_queryset(request, queryset)

    def _audit(self, request: HttpRequest, obj: Model, what: str, **detail: Any) -> None:
        person = request.user if isinstance(request.user, Person) else None
        audit(person, f"{self.opts.verbose_name} {what}", name=str(obj), **detail)


@admin.register(Channel)
class ChannelAdmin(AuditedAdmin):
    form = ChannelForm
    list_display = ("name", "kind", "enabled", "failing_since", "last_error")


@admin.register(Route)
class RouteAdmin(AuditedAdmin):
    form = RouteForm
    list_display = ("name", "channel", "team", "service", "min_severity", "enabled")


@admin.register(Silence)
class SilenceAdmin(AuditedAdmin):
    form = SilenceForm
    list_display = ("service", "breaker", "reason", "by", "starts", "ends")
