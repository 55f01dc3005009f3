"""The web app: its manifest, its service worker and its offline page."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET

# As tokens.css has them: --ground in the dark, and the mark's own blue.
GROUND: Final = "#0d1217"
MARK: Final = "#12344d"
_ICONS: Final = (
    ("img/icon-192.png", "192x192", "any"),
    ("img/icon-512.png", "512x512", "any"),
    ("img/icon-maskable-512.png", "512x512", "maskable"),
)


@login_not_required
@require_GET
@cache_control(max_age=3600)
def manifest(request: HttpRequest) -> HttpResponse:
    """The web app's manifest; its icons are named by their hashes."""
    body: dict[str, Any] = {
        "id": "/",
        "name": "Switchgear",
        "short_name": "Switchgear",
        "description": "Live states of circuit breakers, and the controls to override them",
        "start_url": reverse("wall"),
        "scope": "/",
        "display": "standalone",
        "background_color": GROUND,
        "theme_color": MARK,
        "icons": [
            {"src": static(path), "sizes": sizes, "type": "image/png", "purpose": purpose}
            for path, sizes, purpose in _ICONS
        ],
        "shortcuts": [
            {"name": "Map", "url": reverse("map")},
            {"name": "Timeline", "url": reverse("timeline")},
        ],
    }
    return JsonResponse(body, content_type="application/manifest+json")


@login_not_required
@require_GET
def offline(request: HttpRequest) -> HttpResponse:
    """The page of the installed app while the server is unreachable; without any data."""
    return render(request, "pages/offline.html")


@login_not_required
@require_GET
@cache_control(no_cache=True)
def worker(request: HttpRequest) -> HttpResponse:
    """The service worker; at the root, so that its scope is every page."""
    kept = [reverse("offline"), *(static(f"css/{each}.css") for each in _STYLES)]
    context = {"kept": [*kept, static("img/mark.svg"), static("js/theme.js")]}
    return render(request, "pages/worker.js", context, content_type="text/javascript")


_STYLES: Final = ("tokens", "base", "shell", "components", "forms", "tables")
