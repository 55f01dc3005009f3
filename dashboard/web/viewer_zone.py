"""The time zone that a viewer reads times in: chosen in the browser, kept in a cookie.

Templates and forms use Django's current time zone, so that every time on a page, and every time
that a person types, is in the one zone that the page names.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Final
from urllib.parse import unquote
from zoneinfo import ZoneInfo, available_timezones

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

COOKIE: Final = "zone"
_LONGEST: Final = 64


@cache
def _names() -> frozenset[str]:
    return frozenset(available_timezones())


def zone_of(cookie: str | None) -> ZoneInfo:
    """The zone that a cookie names; UTC where it names none that is known."""
    name = unquote(cookie or "")
    if len(name) <= _LONGEST and name in _names():
        return ZoneInfo(name)
    return ZoneInfo("UTC")


def zone_label(now: datetime | None = None) -> str:
    """The current zone with its offset, as pages name it: `Europe/Berlin (UTC+1)`."""
    name = timezone.get_current_timezone_name()
    if name == "UTC":
        return "UTC"
    offset = timezone.localtime(now or timezone.now()).utcoffset()
    minutes = round(offset.total_seconds() / 60) if offset else 0
    hours, rest = divmod(abs(minutes), 60)
    sign = "-" if minutes < 0 else "+"
    return f"{zone_name()} (UTC{sign}{hours}{f':{rest:02d}' if rest else ''})"


def zone_name() -> str:
    """The IANA name of the current zone."""
    zone = timezone.get_current_timezone()
    return getattr(zone, "key", None) or "UTC"


class ViewerZoneMiddleware:
    """Activates the viewer's zone for each request."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if iscoroutinefunction(self.get_response):
            return self._acall(request)  # type: ignore[return-value]
        with timezone.override(zone_of(request.COOKIES.get(COOKIE))):
            return self.get_response(request)

    async def _acall(self, request: HttpRequest) -> HttpResponse:
        with timezone.override(zone_of(request.COOKIES.get(COOKIE))):
            return await self.get_response(request)  # type: ignore[misc, no-any-return]
