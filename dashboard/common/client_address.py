"""The address of a client, behind the configured number of proxies."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """The address that the outermost trusted proxy saw, or that of the connection.

    With SWITCHGEAR_PROXIES=n, the n-th address from the right of X-Forwarded-For counts; what is
    left of it may be forged.
    """
    if settings.PROXIES:
        forwarded = request.headers.get("X-Forwarded-For", "").split(",")
        if len(forwarded) >= settings.PROXIES:
            found = forwarded[-settings.PROXIES].strip()
            try:
                return str(ipaddress.ip_address(found))
            except ValueError:
                pass
    return str(request.META.get("REMOTE_ADDR") or "")[:45]
