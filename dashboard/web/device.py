"""The page on which a person lets a command line log in."""

from __future__ import annotations

from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from dashboard.access import device_login
from dashboard.access.models import Person

# Codes that a person may try in ten minutes: a code has 25 billion values.
_TRIES = 20


@require_http_methods(["GET", "POST"])
def device(request: HttpRequest) -> HttpResponse:
    """Type the code of a command line, see what it asks for, and allow or deny it."""
    person = request.user
    if not isinstance(person, Person):
        raise PermissionDenied("Log in first.")
    form, said, asked = request.POST, "", None
    if code := form.get("code", "")[:20]:
        key = f"device-tries:{person.pk}"
        cache.add(key, 0, device_login.VALID_FOR_S)
        if cache.incr(key) > _TRIES:
            raise PermissionDenied("Too many codes; wait ten minutes.")
        asked = device_login.find(code)
        if asked is None:
            said = "No command line waits under this code. It may have expired; begin again."
        elif (decision := form.get("decision")) in ("allow", "deny"):
            device_login.decide(person, code, allow=decision == "allow")
            said, asked = (
                "Allowed: go back to the terminal." if decision == "allow" else "Denied.",
                None,
            )
    context = {"asked": asked, "code": code, "said": said}
    return render(request, "account/device.html", context)
