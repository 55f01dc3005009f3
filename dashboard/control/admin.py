from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from dashboard.control.models import Ack, Override


class AckInline(admin.TabularInline):
    model = Ack
    fields = readonly_fields = ("instance", "status", "reason", "at")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Override)
class OverrideAdmin(admin.ModelAdmin):
    """Read-only: overrides are made and lifted on the wall, where their effect is seen."""

    list_display = ("breaker", "service", "state", "by", "reason", "created", "expires", "ended")
    list_filter = ("service", "state")
    search_fields = ("service", "breaker", "reason", "by")
    inlines = (AckInline,)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
