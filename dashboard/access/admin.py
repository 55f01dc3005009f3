from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.db.models import QuerySet
from django.http import HttpRequest

from dashboard.access import services
from dashboard.access.models import AuditEntry, Person, ServiceToken

admin.site.site_header = "Switchgear"
admin.site.site_title = "Switchgear"
admin.site.index_title = "Policies, people and tokens"
admin.site.register(Person, UserAdmin)


@admin.register(ServiceToken)
class ServiceTokenAdmin(admin.ModelAdmin):
    list_display = ("service", "name", "prefix", "created", "created_by", "revoked")
    list_filter = ("service",)
    search_fields = ("service", "name", "prefix")
    fields = ("service", "name")
    actions = ("revoke",)

    def save_model(self, request: HttpRequest, obj: ServiceToken, form: Any, change: bool) -> None:
        assert isinstance(request.user, Person)
        raw = services.create_token(obj.service, obj.name, request.user)
        obj.pk = ServiceToken.objects.get(digest=services.digest(raw)).pk
        self.message_user(request, f"Copy it now, it is not shown again: {raw}", messages.WARNING)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.action(description="Revoke the chosen tokens")
    def revoke(self, request: HttpRequest, chosen: QuerySet[ServiceToken]) -> None:
        assert isinstance(request.user, Person)
        for token in chosen:
            services.revoke_token(token, request.user)
        self.message_user(request, f"{len(chosen)} revoked.")


@admin.register(AuditEntry)
class AuditAdmin(admin.ModelAdmin):
    list_display = ("at", "by", "act", "service", "breaker", "reason")
    list_filter = ("act", "service")
    search_fields = ("by", "service", "breaker", "reason")
    date_hierarchy = "at"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
