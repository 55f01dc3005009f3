from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from dashboard.access.models import Person
from dashboard.policies import services
from dashboard.policies.admin_history import PolicyHistory
from dashboard.policies.forms import GROUPS, PolicyForm
from dashboard.policies.knobs import KNOBS
from dashboard.policies.models import BreakerPolicy, PolicyVersion
from dashboard.policies.quantities import show


class VersionInline(admin.TabularInline):
    model = PolicyVersion
    fields = readonly_fields = ("number", "change", "by", "reason", "created")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="Change")
    def change(self, version: PolicyVersion) -> str:
        return "; ".join(
            f"{name}: {_shown(name, each, 'before')} → {_shown(name, each, 'after')}"
            for name, each in version.diff.items()
        )


def _shown(name: str, change: dict[str, Any], side: str) -> str:
    if side not in change:
        return "inherited"
    return show(KNOBS[name], change[side]) if name in KNOBS else str(change[side])


@admin.register(BreakerPolicy)
class PolicyAdmin(PolicyHistory):
    form = PolicyForm
    list_display = ("breaker", "service", "timeout", "retries", "failure_threshold", "in_force")
    list_filter = ("service",)
    search_fields = ("service", "breaker")
    inlines = (VersionInline,)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return (
            (None, {"fields": ("service", "breaker", "reason", "base")}),
            *((title, {"fields": names}) for title, names in GROUPS),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("service", "breaker") if obj else ()

    def get_form(self, request: Any, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        # The knobs are made by the form itself; Django's factory need not look for them.
        kwargs["fields"] = () if obj else ("service", "breaker")
        return super().get_form(request, obj, change=change, **kwargs)

    def save_model(self, request: HttpRequest, obj: BreakerPolicy, form: Any, change: bool) -> None:
        data = form.cleaned_data
        assert isinstance(request.user, Person)
        try:
            version = services.save(
                request.user,
                obj.service,
                obj.breaker,
                data["policy_fields"],
                data["reason"],
                data.get("base") if change else None,
            )
        except services.PolicyConflict as conflict:
            self.message_user(request, "; ".join(conflict.messages), messages.ERROR)
            return
        except ValidationError as unchanged:
            self.message_user(request, "; ".join(unchanged.messages), messages.WARNING)
            if obj.pk is None:
                obj.pk = BreakerPolicy.objects.get(service=obj.service, breaker=obj.breaker).pk
            return
        obj.pk = version.policy_id

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """The audit trail has it already."""

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """The audit trail has it already."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="timeout")
    def timeout(self, row: BreakerPolicy) -> str:
        return _column(row, "timeout")

    @admin.display(description="retries")
    def retries(self, row: BreakerPolicy) -> str:
        return _column(row, "retries")

    @admin.display(description="failure threshold")
    def failure_threshold(self, row: BreakerPolicy) -> str:
        return _column(row, "failure_threshold")

    @admin.display(description="set here")
    def in_force(self, row: BreakerPolicy) -> str:
        return ", ".join(sorted(row.fields)) or "nothing: inherited"


def _column(row: BreakerPolicy, name: str) -> str:
    if name in row.fields:
        return show(KNOBS[name], row.fields[name]) + " ✎"
    return show(KNOBS[name], row.declared[name]) if name in row.declared else "–"
