"""The door for people, and the icon."""

from __future__ import annotations

from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.templatetags.static import static


def icon(request: HttpRequest) -> HttpResponse:
    """What browsers ask for on pages that name no icon, such as the admin's."""
    return redirect(static("img/mark.svg"))


class Login(LoginView):
    """The door for people."""

    template_name = "pages/login.html"
    redirect_authenticated_user = True
