"""The glossary page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from dashboard.common.glossary import TERMS


@require_GET
def glossary(request: HttpRequest) -> HttpResponse:
    """Every word of the screens with its meaning."""
    return render(request, "pages/glossary.html", {"terms": TERMS})
