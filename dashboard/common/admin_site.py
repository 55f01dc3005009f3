"""An admin site on which nobody overwrites another's change unseen, whoever registers a model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from dashboard.common.form_versions import SEEN, SeenVersion


class LockingAdmin(admin.ModelAdmin):
    """Adds to each form what its person has seen of the row, and locks the row while it is
    saved."""

    def get_form(self, request: Any, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = kwargs.get("form", self.form)
        if obj is not None and not issubclass(form, SeenVersion):
            kwargs["form"] = type(form.__name__, (SeenVersion, form), {})
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        is_shown = any(SEEN in fields["fields"] for _, fields in fieldsets)
        return fieldsets if obj is None or is_shown else (*fieldsets, (None, {"fields": (SEEN,)}))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        match = request.resolver_match
        is_saved = request.method == "POST" and match is not None and "object_id" in match.kwargs
        if is_saved and transaction.get_connection(rows.db).in_atomic_block:
            # The admin saves in a transaction: of two people who save at once, one waits.
            return rows.select_for_update(of=("self",))
        return rows


class LockingSite(admin.AdminSite):
    """Registers every admin as a `LockingAdmin`; one that changes nothing is left as it is."""

    def register(
        self,
        model_or_iterable: type[Model] | Iterable[type[Model]],
        admin_class: type[admin.ModelAdmin[Any]] | None = None,
        **options: Any,
    ) -> None:
        given = admin_class or admin.ModelAdmin
        locking = type(given.__name__, (LockingAdmin, given), {"__module__": given.__module__})
        super().register(model_or_iterable, locking, **options)
