"""A developer page that shows every component in every state and both themes."""

from __future__ import annotations

import re
from typing import Final

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from dashboard.web.map import STATES

_COLOUR: Final = re.compile(r"(--[\w-]+): light-dark\(#")


@require_GET
def styleguide(request: HttpRequest) -> HttpResponse:
    """Served only with `SWITCHGEAR_DEBUG=1`."""
    if not settings.DEBUG:
        raise Http404("The styleguide is shown with SWITCHGEAR_DEBUG=1 only.")
    tokens = (settings.BASE_DIR / "static/css/tokens.css").read_text()
    context = {
        "themes": ("light", "dark"),
        "states": STATES,
        "statuses": ("connecting", "live", "lost", "silent"),
        "tokens": _COLOUR.findall(tokens),
    }
    return render(request, "pages/styleguide.html", context)
