"""Idempotency-Key on writes: the same key again answers with the first response.

A key is kept for a day. The same key with another request is refused (422), and so is one whose
first request is still in progress (409).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from dashboard.api.operators.models import IdempotentRequest
from dashboard.api.operators.problems import ApiError
from dashboard.common.batch_deletion import sweep

KEPT_FOR: Final = timedelta(days=1)
MAX_KEYS: Final = 10_000
# A request that has not ended by then was cut off with its process.
_IN_PROGRESS_AT_MOST: Final = timedelta(minutes=5)
_MAX_BODY: Final = 1_000_000
_KEPT_HEADERS: Final = ("ETag", "Location")
HEADER: Final = "Idempotency-Key"


def once(request: HttpRequest, caller: str, perform: Callable[[], HttpResponse]) -> HttpResponse:
    """Perform a request, or answer as the first request with its key was answered."""
    key = request.headers.get(HEADER, "")
    if not key:
        return perform()
    if len(key) > 255 or not key.isascii() or not key.isprintable():
        wrong = "A key has 1 to 255 printable ASCII characters."
        raise ApiError(422, "invalid", wrong, [(HEADER, wrong)])
    row = _begin(request, caller, key)
    if row.status is not None:
        return _replay(row)
    try:
        response = perform()
    except BaseException:
        row.delete()
        raise
    if response.status_code >= 500 or response.streaming or len(response.content) > _MAX_BODY:
        row.delete()
        return response
    row.status = response.status_code
    row.content_type = response.headers.get("Content-Type", "")
    row.headers = {name: response[name] for name in _KEPT_HEADERS if name in response}
    row.body = response.content
    row.save()
    return response


def _begin(request: HttpRequest, caller: str, key: str) -> IdempotentRequest:
    fingerprint = hashlib.sha256(
        b"\n".join(
            [(request.method or "").encode(), request.get_full_path().encode(), request.body]
        )
    ).hexdigest()
    now = timezone.now()
    IdempotentRequest.objects.filter(
        caller=caller, status=None, created__lt=now - _IN_PROGRESS_AT_MOST
    ).delete()
    IdempotentRequest.objects.filter(caller=caller, key=key, created__lt=now - KEPT_FOR).delete()
    if IdempotentRequest.objects.filter(caller=caller).count() >= MAX_KEYS:
        raise ApiError(429, "too_many_keys", f"At most {MAX_KEYS} idempotency keys a day.")
    try:
        with transaction.atomic():
            return IdempotentRequest.objects.create(caller=caller, key=key, fingerprint=fingerprint)
    except IntegrityError:
        row = IdempotentRequest.objects.get(caller=caller, key=key)
    if row.fingerprint != fingerprint:
        wrong = "This key belongs to another request."
        raise ApiError(422, "key_reused", wrong, [(HEADER, wrong)])
    if row.status is None:
        wait = "The first request with this key is in progress."
        raise ApiError(409, "in_progress", wait, headers={"Retry-After": "1"})
    return row


def _replay(row: IdempotentRequest) -> HttpResponse:
    response = HttpResponse(bytes(row.body), row.content_type, row.status)
    for name, value in row.headers.items():
        response[name] = value
    response["Idempotency-Replayed"] = "true"
    return response


def delete_old_keys() -> int:
    """Delete keys that are older than a day."""
    return sweep(IdempotentRequest.objects.filter(created__lt=timezone.now() - KEPT_FOR))
