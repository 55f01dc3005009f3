"""The favicon."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.templatetags.static import static


def icon(request: HttpRequest) -> HttpResponse:
    """The favicon for pages that link to none."""
    return redirect(static("img/mark.svg"))
