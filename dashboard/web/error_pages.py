"""Answers to requests that Django refuses before a view sees them, in plain words."""

from __future__ import annotations

from typing import Final

from django.core.exceptions import BadRequest, DisallowedHost
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import REASON_BAD_ORIGIN, get_token
from django.shortcuts import render
from django.urls import Resolver404

_ORIGIN: Final = REASON_BAD_ORIGIN.split("%s", maxsplit=1)[0]


def is_script(request: HttpRequest) -> bool:
    """Whether a script of our pages sent the request."""
    return request.headers.get("X-Requested-With") == "fetch"


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400: says which setting refused the request, where one did."""
    if isinstance(exception, DisallowedHost):
        words = (
            "This dashboard does not answer to the host name in the address. Its administrator "
            "adds the name to SWITCHGEAR_ALLOWED_HOSTS."
        )
    elif isinstance(exception, BadRequest) and str(exception):
        words = str(exception)
    else:
        words = "The dashboard cannot read this request."
    return render(None, "400.html", {"words": words}, status=400)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 where the token that protects forms is missing or old.

    A script of our own pages gets a fresh token and may send the request again. A request from
    another origin gets none.
    """
    if reason.startswith(_ORIGIN):
        words = (
            "The request comes from an address that this dashboard does not trust. Behind a proxy, "
            "its administrator adds the address, with https://, to SWITCHGEAR_TRUSTED_ORIGINS."
        )
        token = ""
    else:
        words = "This form is from before your last log-in. Load the page again and repeat the act."
        token = get_token(request)
    if is_script(request):
        body = {"code": "csrf", "token": token, "errors": {"": [words]}}
        answer: HttpResponse = JsonResponse(body, status=403)
        answer["Cache-Control"] = "no-store"
        return answer
    return render(request, "403_csrf.html", {"words": words}, status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404: the words of a view that looked for something, never those of the resolver."""
    words = "" if isinstance(exception, Resolver404) else " ".join(map(str, exception.args))
    return render(request, "404.html", {"words": words}, status=404)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403: what the person may not do."""
    words = " ".join(map(str, exception.args))
    return render(request, "403.html", {"words": words}, status=403)
