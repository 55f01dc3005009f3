"""Middleware: ends sessions after an idle time and after an absolute time.

The session's expiry in the database is kept at the earlier of the two, so that an open socket ends
with it too (see `api.browsers.session_watch`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse

_BEGAN: Final = "began"
_RENEWED: Final = "renewed"
# How often the expiry is written.
RENEW_EACH_S: Final = 60.0


class SessionLimitsMiddleware:
    """Ends a session that is too old, and renews the expiry of one in use."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated and request.session.session_key:
            _apply(request)
        return self._get_response(request)


def _apply(request: HttpRequest) -> None:
    now = time.time()
    session = request.session
    began = session.setdefault(_BEGAN, now)
    renewed = session.get(_RENEWED, now)
    left = began + settings.SESSION_MAX_S - now
    if left <= 0 or now - renewed > settings.SESSION_IDLE_S:
        logout(request)
    elif _RENEWED not in session or now - renewed >= RENEW_EACH_S:
        session[_RENEWED] = now
        session.set_expiry(int(max(1, min(left, settings.SESSION_IDLE_S))))
