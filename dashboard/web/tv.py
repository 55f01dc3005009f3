"""The wall display: the fleet in large type, for a screen that nobody operates."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from dashboard.web.first_view import without_sparklines


@require_GET
def tv(request: HttpRequest) -> HttpResponse:
    """The breakers in the worst state first, as many as fit."""
    return render(request, "pages/tv.html", {"snapshot": without_sparklines(request.user)})
