"""Sends a message to a channel: an Apprise URL or a signed webhook. Needs no database.

Addresses inside the network are refused unless `ALERTS_ALLOW_PRIVATE` is set. A webhook connects to
the address that was checked; no channel follows a redirect. Each delivery has a deadline.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import apprise
import msgspec
from django.conf import settings

from dashboard.alerts.models import Channel, OutboxMessage
from dashboard.common.audit_anchor import anchor
from dashboard.common.guarded_http import DeliveryError, checked_address, post

DEADLINE_S: Final = 15.0
# The beginning of a secret that is base64, as the Standard Webhooks scheme writes it.
_BASE64: Final = "whsec_"
# Apprise's own limit of time leaves a thread of its one pool with each channel that hangs; here a
# channel has a thread of its own.
_ASSET: Final = apprise.AppriseAsset(http_redirects=False, service_timeout=0)


def deliver(message: OutboxMessage) -> None:
    """Send a message.

    Raises:
        DeliveryError: it was not accepted.
    """
    if not message.channel.url:
        raise DeliveryError("the address cannot be decrypted with this SECRET_KEY; enter it again")
    if message.channel.kind == "webhook":
        _webhook(message.channel, message)
    else:
        _apprise(message.channel, message)


def _webhook(channel: Channel, message: OutboxMessage) -> None:
    body = msgspec.json.encode(payload(message))
    sent_at = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": message.key,
        "webhook-id": message.key,
        "webhook-timestamp": sent_at,
        "webhook-signature": signature(channel.secret, message.key, sent_at, body),
    }
    private = settings.ALERTS_ALLOW_PRIVATE
    post(channel.url, body, headers, private=private, deadline_s=DEADLINE_S)


def payload(message: OutboxMessage) -> dict[str, Any]:
    """The JSON of a webhook."""
    incident = message.incident
    return {
        "id": message.key,
        "kind": message.kind,
        "title": message.title,
        "text": message.body,
        # The signed head of the audit trail: whoever keeps it can prove what came after.
        "audit_head": anchor.text,
        "incident": None
        if incident is None
        else {
            "id": incident.pk,
            "severity": incident.severity,
            "began": incident.began,
            "ended": incident.ended,
            "service": incident.service,
            "breaker": incident.breaker,
            "headline": incident.headline,
            "why": incident.why,
            "advice": incident.advice,
            "url": f"{settings.PUBLIC_URL}/incidents/{incident.pk}",
        },
    }


def signature(secret: str, id: str, sent_at: str, body: bytes) -> str:
    """The signature of the Standard Webhooks scheme: HMAC-SHA256 over id, time and body, so that a
    receiver can refuse old requests. A secret `whsec_…` is base64, as the scheme writes it."""
    key = secret.encode()
    if secret.startswith(_BASE64):
        try:
            key = base64.b64decode(secret.removeprefix(_BASE64), validate=True)
        except binascii.Error:
            raise DeliveryError("the secret after whsec_ is not base64; enter it again") from None
    signed = hmac.new(key, f"{id}.{sent_at}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(signed).decode()


def _apprise(channel: Channel, message: OutboxMessage) -> None:
    plugin = apprise.Apprise.instantiate(channel.url, asset=_ASSET, suppress_exceptions=True)
    if plugin is None:
        raise DeliveryError("Apprise does not understand this URL")
    # Whatever the URL says: a redirect may lead inside the network.
    plugin.redirects = False
    if host := getattr(plugin, "smtp_host", None) or getattr(plugin, "host", None):
        checked_address(host, getattr(plugin, "port", None) or 443, settings.ALERTS_ALLOW_PRIVATE)
    _within_deadline(channel, lambda: _notify(plugin, channel.name, message))


def _notify(plugin: Any, name: str, message: OutboxMessage) -> None:
    sender = apprise.Apprise(asset=_ASSET)
    sender.add(plugin)
    with apprise.LogCapture(level=logging.WARNING) as log:  # type: ignore[no-untyped-call]
        accepted = sender.notify(body=message.body, title=message.title)
        if not accepted:
            said = log.getvalue().strip().splitlines()
            raise DeliveryError(said[-1][-250:] if said else f"{name} did not accept it")


_hanging: dict[int, threading.Thread] = {}


def _within_deadline(channel: Channel, send: Callable[[], None]) -> None:
    """Call `send`, which nothing can interrupt, in a thread, and stop waiting at the deadline. A
    channel has one such thread at most: while it hangs, nothing else is sent there."""
    before = _hanging.get(channel.pk)
    if before is not None and before.is_alive():
        raise DeliveryError("the delivery before still waits for an answer")
    _hanging.pop(channel.pk, None)
    errors: list[Exception] = []

    def run() -> None:
        try:
            send()
        except Exception as error:  # given to the caller
            errors.append(error)

    thread = threading.Thread(target=run, name=f"channel-{channel.pk}", daemon=True)
    thread.start()
    thread.join(DEADLINE_S)
    if thread.is_alive():
        _hanging[channel.pk] = thread
        raise DeliveryError(f"{channel.name} did not answer within {DEADLINE_S:g} s")
    if errors:
        raise errors[0]
