"""The address for GitHub's webhooks, which sign their deliveries and can send no token.

`SWITCHGEAR_GITHUB_WEBHOOK_SECRET` is the secret of the webhook; without it the address is closed.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Final

import msgspec
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from dashboard.alerts.services import add_marker
from dashboard.api.operators.marker_payloads import from_github
from dashboard.api.operators.pipeline import MAX_BODY
from dashboard.api.operators.problems import ApiError
from dashboard.api.operators.rate_limits import spend
from dashboard.common.client_address import client_address

SIGNATURE: Final = "X-Hub-Signature-256"


@csrf_exempt
@login_not_required
@require_POST
def github_hook(request: HttpRequest) -> HttpResponseBase:
    """Add a marker for a signed delivery: 201, 200 if it was delivered before, 202 for other
    events."""
    try:
        return _answer(request)
    except ApiError as error:
        return error.response()


def _answer(request: HttpRequest) -> HttpResponse:
    spend(f"address:{client_address(request)}", settings.API_ADDRESS_RATE)
    secret = settings.GITHUB_WEBHOOK_SECRET
    if not secret:
        raise ApiError(404, "closed", "Set SWITCHGEAR_GITHUB_WEBHOOK_SECRET to open this address.")
    if int(request.headers.get("Content-Length") or 0) > MAX_BODY:
        raise ApiError(413, "too_large", f"A body has at most {MAX_BODY} bytes.")
    expected = "sha256=" + hmac.new(secret.encode(), request.body, hashlib.sha256).hexdigest()
    # As bytes: text that is not ASCII cannot be compared.
    given_signature = request.headers.get(SIGNATURE, "").encode()
    if not hmac.compare_digest(expected.encode(), given_signature):
        raise ApiError(401, "signature", f"{SIGNATURE} does not fit the body and the secret.")
    try:
        body: dict[str, Any] = msgspec.json.decode(request.body, type=dict)
    except msgspec.DecodeError as error:
        raise ApiError(422, "invalid", f"The body is no JSON object: {error}") from None
    given = from_github(body)
    if given is None:
        return HttpResponse(status=202)
    try:
        marker, made = add_marker(None, by="github", **given)
    except ValidationError as error:
        fields = [(name, " ".join(each)) for name, each in error.message_dict.items()]
        raise ApiError(422, "invalid", "The marker is not valid.", fields) from None
    return JsonResponse({"id": marker.pk}, status=201 if made else 200)
