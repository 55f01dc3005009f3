"""The login page and the favicon."""

from __future__ import annotations

from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.templatetags.static import static


def icon(request: HttpRequest) -> HttpResponse:
    """The favicon for pages that link to none."""
    return redirect(static("img/mark.svg"))


class Login(LoginView):
    """The login page."""

    template_name = "pages/login.html"
    redirect_authenticated_user = True
