from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from dashboard.access import service_tokens, services, status_links
from dashboard.access.models import AuditEntry, Person, ServiceToken, StatusLink
from dashboard.common.admin_widgets import NamedDateTime

admin.site.site_header = "Switchgear"
admin.site.site_title = "Switchgear"
admin.site.index_title = "Policies, people and tokens"
admin.site.enable_nav_sidebar = False
admin.site.register(Person, UserAdmin)


class ServiceTokenForm(forms.ModelForm):
    """Of which service, for which instances, until when."""

    class Meta:
        model = ServiceToken
        fields = ("service", "name", "instances", "expires")
        field_classes: ClassVar = {"expires": forms.SplitDateTimeField}
        widgets: ClassVar = {"expires": NamedDateTime}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                service_tokens.check(cleaned["service"], cleaned["instances"], cleaned["expires"])
            except forms.ValidationError as error:
                self.add_error(None, error)
        return cleaned


@admin.register(ServiceToken)
class ServiceTokenAdmin(admin.ModelAdmin):
    form = ServiceTokenForm
    list_display = (
        "service", "name", "prefix", "instances", "created", "created_by", "expires", "revoked",
        "last_used", "last_address",
    )  # fmt: skip
    list_filter = ("service",)
    search_fields = ("service", "name", "prefix")
    actions = ("rotate", "revoke")

    def save_model(self, request: HttpRequest, obj: ServiceToken, form: Any, change: bool) -> None:
        assert isinstance(request.user, Person)
        raw = service_tokens.create_token(
            obj.service, obj.name, request.user, instances=obj.instances, expires=obj.expires
        )
        obj.pk = ServiceToken.objects.get(digest=services.digest(raw)).pk
        self.message_user(request, f"Copy it now, it is not shown again: {raw}", messages.WARNING)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.action(description="Rotate the chosen tokens: the old ones end in 7 days")
    def rotate(self, request: HttpRequest, chosen: QuerySet[ServiceToken]) -> None:
        assert isinstance(request.user, Person)
        for token in chosen:
            try:
                raw = service_tokens.rotate_token(token, request.user)
            except forms.ValidationError as error:
                self.message_user(request, " ".join(error.messages), messages.ERROR)
                continue
            said = f"{token.service}: copy it now, it is not shown again: {raw}"
            self.message_user(request, said, messages.WARNING)

    @admin.action(description="Revoke the chosen tokens")
    def revoke(self, request: HttpRequest, chosen: QuerySet[ServiceToken]) -> None:
        assert isinstance(request.user, Person)
        for token in chosen:
            service_tokens.revoke_token(token, request.user)
        self.message_user(request, f"{len(chosen)} revoked.")


class StatusLinkForm(forms.ModelForm):
    """Whom it is for, until when, and of which services."""

    shown = forms.CharField(
        label="Services",
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="One name a line; empty for every service, those to come too.",
    )
    expires = forms.SplitDateTimeField(
        widget=NamedDateTime,
        initial=lambda: timezone.now() + timedelta(days=90),
        help_text=f"At most {status_links.LONGEST.days} days from now (UTC).",
    )

    class Meta:
        model = StatusLink
        fields = ("name", "expires")

    def clean_shown(self) -> list[str]:
        return [line.strip() for line in self.cleaned_data["shown"].splitlines() if line.strip()]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            try:
                status_links.check(cleaned["name"], cleaned["expires"], cleaned["shown"])
            except forms.ValidationError as error:
                for field, complaints in error.message_dict.items():
                    self.add_error("shown" if field == "services" else field, complaints)
        return cleaned


@admin.register(StatusLink)
class StatusLinkAdmin(admin.ModelAdmin):
    form = StatusLinkForm
    list_display = ("name", "prefix", "services", "created", "created_by", "expires", "revoked")
    search_fields = ("name", "prefix")
    actions = ("revoke",)

    def save_model(self, request: HttpRequest, obj: StatusLink, form: Any, change: bool) -> None:
        assert isinstance(request.user, Person)
        raw = status_links.create_status_link(
            request.user, obj.name, obj.expires, form.cleaned_data["shown"]
        )
        obj.pk = status_links.status_link(raw).pk  # type: ignore[union-attr]
        url = request.build_absolute_uri(reverse("status", args=[raw]))
        self.message_user(request, f"Copy it now, it is not shown again: {url}", messages.WARNING)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.action(description="Revoke the chosen links")
    def revoke(self, request: HttpRequest, chosen: QuerySet[StatusLink]) -> None:
        assert isinstance(request.user, Person)
        ended = sum(status_links.revoke_status_link(link, request.user) for link in chosen)
        self.message_user(request, f"{ended} revoked.")


@admin.register(AuditEntry)
class AuditAdmin(admin.ModelAdmin):
    list_display = ("at", "by", "act", "service", "breaker", "reason")
    list_filter = ("act",)
    search_fields = ("by", "service", "breaker", "reason")
    date_hierarchy = "at"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
