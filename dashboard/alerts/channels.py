"""Sends a message to a channel: an Apprise URL or a signed webhook. Needs no database.

Addresses inside the network are refused unless `ALERTS_ALLOW_PRIVATE` is set. A webhook connects to
the address that was checked; no channel follows a redirect. Each delivery has a deadline.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import ipaddress
import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

import apprise
import httpx
import msgspec
from django.conf import settings

from dashboard.alerts.models import Channel, OutboxMessage
from dashboard.common.audit_anchor import anchor

TIMEOUT: Final = httpx.Timeout(8.0, connect=4.0)
DEADLINE_S: Final = 15.0
# The beginning of a secret that is base64, as the Standard Webhooks scheme writes it.
_BASE64: Final = "whsec_"
_LONGEST_ANSWER: Final = 64 * 1024
# Apprise's own limit of time leaves a thread of its one pool with each channel that hangs; here a
# channel has a thread of its own.
_ASSET: Final = apprise.AppriseAsset(http_redirects=False, service_timeout=0)


class DeliveryError(Exception):
    """A message was not delivered; the text says why."""


class UnsafeAddressError(DeliveryError):
    """An address inside the network."""


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
    parts = urlsplit(channel.url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = checked_address(host, port)
    shown = f"[{address}]" if ":" in address else address
    body = msgspec.json.encode(payload(message))
    sent_at = str(int(time.time()))
    request = httpx.Request(
        "POST",
        parts._replace(netloc=f"{shown}:{port}").geturl(),
        content=body,
        headers={
            "Host": parts.netloc.rpartition("@")[2],
            "Content-Type": "application/json",
            "Idempotency-Key": message.key,
            "webhook-id": message.key,
            "webhook-timestamp": sent_at,
            "webhook-signature": signature(channel.secret, message.key, sent_at, body),
        },
        extensions={"sni_hostname": host} if parts.scheme == "https" else {},
    )
    try:
        asyncio.run(_post(request, host))
    except httpx.HTTPError as error:
        raise DeliveryError(f"{host}: {error or type(error).__name__}") from error
    except TimeoutError:
        raise DeliveryError(f"{host} did not answer within {DEADLINE_S:g} s") from None


async def _post(request: httpx.Request, host: str) -> None:
    """Send a request. The deadline holds for all of it, however slowly an answer drips."""
    async with (
        asyncio.timeout(DEADLINE_S),
        httpx.AsyncClient(timeout=TIMEOUT, trust_env=False, follow_redirects=False) as client,
    ):
        response = await client.send(request, stream=True)
        try:
            received = 0
            async for piece in response.aiter_raw():
                received += len(piece)
                if received > _LONGEST_ANSWER:
                    raise DeliveryError(f"{host} sends an answer without end")
        finally:
            await response.aclose()
        if not response.is_success:
            raise DeliveryError(f"{host} answered {response.status_code}")


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


def checked_address(host: str, port: int) -> str:
    """An address of a host that may be connected to.

    Raises:
        DeliveryError: the host has no address, or one inside the network.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise DeliveryError(f"{host} has no address: {error}") from error
    addresses = [str(each[4][0]) for each in found]
    if not settings.ALERTS_ALLOW_PRIVATE:
        for each in addresses:
            if not ipaddress.ip_address(each.partition("%")[0]).is_global:
                raise UnsafeAddressError(
                    f"{host} is {each}, an address inside the network; "
                    "set SWITCHGEAR_ALERTS_ALLOW_PRIVATE=1 to allow it"
                )
    return addresses[0]


def _apprise(channel: Channel, message: OutboxMessage) -> None:
    plugin = apprise.Apprise.instantiate(channel.url, asset=_ASSET, suppress_exceptions=True)
    if plugin is None:
        raise DeliveryError("Apprise does not understand this URL")
    # Whatever the URL says: a redirect may lead inside the network.
    plugin.redirects = False
    if host := getattr(plugin, "smtp_host", None) or getattr(plugin, "host", None):
        checked_address(host, getattr(plugin, "port", None) or 443)
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
