"""Pages of one's own account: sessions and tokens; and the link for the first administrator."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from allauth.account.internal.flows.login import record_authentication
from django import forms
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboard.access import first_run, personal_tokens
from dashboard.access import sessions as own_sessions
from dashboard.access.models import Person


def _person(request: HttpRequest) -> Person:
    if not isinstance(request.user, Person):
        raise PermissionDenied("Log in first.")
    return request.user


@require_safe
def sessions(request: HttpRequest) -> HttpResponse:
    """The sessions of this person."""
    found = own_sessions.sessions_of(_person(request))
    key = request.session.session_key
    for each in found:
        each.is_current = each.session_key == key
    return render(request, "account/sessions.html", {"sessions": found})


@require_POST
def revoke_session(request: HttpRequest, pk: int) -> HttpResponse:
    """End one session. Its open sockets close within seconds."""
    if not own_sessions.revoke_session(_person(request), pk):
        raise Http404("You have no such session.")
    return redirect("sessions")


@require_POST
def revoke_sessions(request: HttpRequest) -> HttpResponse:
    """End all sessions of this person but the current one."""
    own_sessions.revoke_sessions(_person(request), request.session.session_key or "")
    return redirect("sessions")


class TokenForm(forms.Form):
    """The name, scopes and expiry of a new token."""

    name = forms.CharField(max_length=80)
    scopes = forms.MultipleChoiceField(
        choices=[(name, f"{name}: {text}") for name, text in personal_tokens.SCOPES.items()],
        widget=forms.CheckboxSelectMultiple,
        initial=["read"],
    )
    days = forms.IntegerField(
        min_value=1, max_value=personal_tokens.LONGEST.days, initial=90, label="Expires in days"
    )


@require_http_methods(["GET", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """The personal tokens of this person, and a form for a new one."""
    person = _person(request)
    form = TokenForm(request.POST if request.method == "POST" else None)
    secret = ""
    if form.is_bound and form.is_valid():
        data = form.cleaned_data
        expires = timezone.now() + timedelta(days=data["days"])
        try:
            _, secret = personal_tokens.create_personal_token(
                person, data["name"], data["scopes"], expires
            )
            form = TokenForm()
        except ValidationError as error:
            for field, messages in error.message_dict.items():
                form.add_error(field if field in form.fields else None, messages)
    context: dict[str, Any] = {"form": form, "secret": secret, "tokens": person.tokens.all()[:200]}
    return render(request, "account/tokens.html", context)


@require_POST
def revoke_token(request: HttpRequest, pk: int) -> HttpResponse:
    """Revoke one of this person's tokens."""
    person = _person(request)
    personal_tokens.revoke_personal_token(person, get_object_or_404(person.tokens, pk=pk))
    return redirect("tokens")


class FirstAdminForm(forms.Form):
    """The name and password of the first administrator."""

    username = forms.CharField(max_length=150, label="Name")
    password = forms.CharField(widget=forms.PasswordInput)


@login_not_required
@require_http_methods(["GET", "POST"])
def first_admin(request: HttpRequest, token: str) -> HttpResponse:
    """Create the first administrator, once."""
    if not first_run.is_valid(token):
        raise Http404("This link is no longer valid.")
    form = FirstAdminForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        data = form.cleaned_data
        try:
            person = first_run.create_first_admin(token, data["username"], data["password"])
        except ValidationError as error:
            form.add_error(None, error.messages)
        else:
            if person is None:
                raise Http404("This link is no longer valid.")
            login(request, person, backend="django.contrib.auth.backends.ModelBackend")
            record_authentication(request, person, method="password")
            return redirect("wall")
    return render(request, "account/first_admin.html", {"form": form})
