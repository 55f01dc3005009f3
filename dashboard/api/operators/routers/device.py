"""Logging in a command line: it asks for a code, and fetches the token that a person allows."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from ninja import Router, Schema

from dashboard.access import device_login
from dashboard.api.operators.pipeline import ApiRequest
from dashboard.api.operators.problems import ApiError, Problem
from dashboard.common.client_address import client_address

# Whoever logs in has no token yet.
router = Router(tags=["device"], auth=None)
ERRORS = dict.fromkeys((400, 422, 429), Problem)


class DeviceIn(Schema):
    """What the token is for, and its scopes."""

    name: str
    scopes: list[str]


class DeviceOut(Schema):
    """Show `user_code` and the address, and ask for the token each `interval` seconds."""

    device_code: str
    user_code: str
    verification_uri: str
    expires_in: int
    interval: int


class FetchIn(Schema):
    device_code: str


class FetchedOut(Schema):
    token: str


@router.post("/code", response={200: DeviceOut, **ERRORS}, operation_id="begin_device_login")
def begin_device_login(request: ApiRequest, body: DeviceIn) -> dict[str, Any]:
    """Ask for a token, as RFC 8628 does."""
    device, code = device_login.begin(body.name, body.scopes, client_address(request))
    return {
        "device_code": device,
        "user_code": code,
        "verification_uri": request.build_absolute_uri(reverse("device")),
        "expires_in": device_login.VALID_FOR_S,
        "interval": device_login.INTERVAL_S,
    }


@router.post("/token", response={200: FetchedOut, **ERRORS}, operation_id="finish_device_login")
def finish_device_login(request: ApiRequest, body: FetchIn) -> dict[str, str]:
    """The token, once a person has allowed it; until then 400 `authorization_pending`."""
    try:
        return {"token": device_login.finish(body.device_code)}
    except device_login.NotAllowed as error:
        words = {
            "authorization_pending": "Nobody has allowed it yet.",
            "access_denied": "It was denied.",
            "expired_token": "The code has expired, or was used; begin again.",
        }
        raise ApiError(400, error.code, words[error.code]) from None
