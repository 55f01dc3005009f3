"""Sends a message to a channel: an Apprise URL or a signed webhook. Needs no database.

Addresses inside the network are refused unless `ALERTS_ALLOW_PRIVATE` is set. A webhook connects to
the address that was checked, and follows no redirect.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
import socket
import time
from typing import Any, Final
from urllib.parse import urlsplit

import apprise
import httpx
import msgspec
from django.conf import settings

from dashboard.alerts.models import Channel, OutboxMessage

TIMEOUT: Final = httpx.Timeout(8.0, connect=4.0)
DEADLINE_S: Final = 15.0
SIGNATURE: Final = "Switchgear-Signature"
_LONGEST_ANSWER: Final = 64 * 1024


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
    target = parts._replace(netloc=f"{shown}:{port}").geturl()
    body = msgspec.json.encode(payload(message))
    sent_at = str(int(time.time()))
    headers = {
        "Host": parts.netloc.rpartition("@")[2],
        "Content-Type": "application/json",
        "Idempotency-Key": message.key,
        SIGNATURE: f"t={sent_at},v1={signature(channel.secret, sent_at, body)}",
    }
    extensions = {"sni_hostname": host} if parts.scheme == "https" else {}
    ends = time.monotonic() + DEADLINE_S
    try:
        with (
            httpx.Client(timeout=TIMEOUT, trust_env=False, follow_redirects=False) as client,
            client.stream(
                "POST", target, content=body, headers=headers, extensions=extensions
            ) as response,
        ):
            received = 0
            for piece in response.iter_raw():
                received += len(piece)
                if received > _LONGEST_ANSWER or time.monotonic() > ends:
                    raise DeliveryError(f"{host} sends an answer without end")
            if not response.is_success:
                raise DeliveryError(f"{host} answered {response.status_code}")
    except httpx.HTTPError as error:
        raise DeliveryError(f"{host}: {error or type(error).__name__}") from error


def payload(message: OutboxMessage) -> dict[str, Any]:
    """The JSON of a webhook."""
    incident = message.incident
    return {
        "id": message.key,
        "kind": message.kind,
        "title": message.title,
        "text": message.body,
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
            "url": f"{settings.PUBLIC_URL}/incidents/{incident.pk}",
        },
    }


def signature(secret: str, sent_at: str, body: bytes) -> str:
    """HMAC-SHA256 over the time and the body, so that a receiver can refuse old requests."""
    return hmac.new(secret.encode(), sent_at.encode() + b"." + body, hashlib.sha256).hexdigest()


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
    plugin = apprise.Apprise.instantiate(channel.url, suppress_exceptions=True)
    if plugin is None:
        raise DeliveryError("Apprise does not understand this URL")
    if host := getattr(plugin, "smtp_host", None) or getattr(plugin, "host", None):
        checked_address(host, getattr(plugin, "port", None) or 443)
    sender = apprise.Apprise()
    sender.add(plugin)
    with apprise.LogCapture(level=logging.WARNING) as log:  # type: ignore[no-untyped-call]
        accepted = sender.notify(body=message.body, title=message.title)
        if not accepted:
            said = log.getvalue().strip().splitlines()
            raise DeliveryError(said[-1][-250:] if said else f"{channel.name} did not accept it")
