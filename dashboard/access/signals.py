"""Writes log-ins, failures and changes of credentials to the audit trail."""

from __future__ import annotations

from typing import Any

from allauth.account import signals as account
from allauth.mfa import signals as mfa
from django.contrib.admin.models import LogEntry
from django.contrib.auth.signals import user_logged_out, user_login_failed
from django.db.models.signals import post_save
from django.dispatch import receiver

from dashboard.access.models import Person
from dashboard.access.services import audit
from dashboard.observability.metrics import counters


@receiver(account.user_logged_in)
def _logged_in(user: Person, request: Any, **_: Any) -> None:
    methods = request.session.get("account_authentication_methods", [])
    audit(user, "logged in", methods=sorted({str(each.get("method")) for each in methods}))


@receiver(user_logged_out)
def _logged_out(user: Person | None, **_: Any) -> None:
    if user is not None:
        audit(user, "logged out")


@receiver(user_login_failed)
def _failed(credentials: dict[str, Any], **_: Any) -> None:
    counters.logins_failed += 1
    name = str(credentials.get("username") or credentials.get("login") or "")[:150]
    audit(None, "login failed", username=ascii(name)[1:-1])


@receiver([account.password_changed, account.password_reset, account.password_set])
def _password(user: Person, **_: Any) -> None:
    audit(user, "password changed", username=user.username)


@receiver(mfa.authenticator_added)
def _factor_added(user: Person, authenticator: Any, **_: Any) -> None:
    audit(user, "second factor added", type=str(authenticator.type))


@receiver(mfa.authenticator_removed)
def _factor_removed(user: Person, authenticator: Any, **_: Any) -> None:
    audit(user, "second factor removed", type=str(authenticator.type))


@receiver(post_save, sender=LogEntry)
def _admin_edit(instance: LogEntry, created: bool, **_: Any) -> None:
    if created:
        person = instance.user if isinstance(instance.user, Person) else None
        audit(
            person,
            "admin edit",
            object=instance.object_repr[:200],
            model=str(instance.content_type or ""),
            change=instance.get_change_message()[:500],
        )
