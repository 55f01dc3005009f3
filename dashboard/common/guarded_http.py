"""HTTP requests to addresses that come from people or settings.

The connection goes to the address that was checked, whatever the name resolves to later. Redirects
are not followed, answers are bounded, and a deadline holds for all of a request.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import httpx

TIMEOUT: Final = httpx.Timeout(8.0, connect=4.0)
DEADLINE_S: Final = 15.0
_LONGEST_ANSWER: Final = 64 * 1024


class DeliveryError(Exception):
    """A request was not accepted; the text says why."""


class UnsafeAddressError(DeliveryError):
    """An address inside the network."""


def post(
    url: str,
    content: bytes,
    headers: Mapping[str, str],
    *,
    private: bool,
    deadline_s: float = DEADLINE_S,
) -> bytes:
    """Post to a URL and return the answer's body, at most 64 KiB, before `deadline_s` seconds are
    over. `private` allows addresses inside the network.

    Raises:
        DeliveryError: it was not accepted.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = checked_address(host, port, private)
    shown = f"[{address}]" if ":" in address else address
    request = httpx.Request(
        "POST",
        parts._replace(netloc=f"{shown}:{port}").geturl(),
        content=content,
        headers={"Host": parts.netloc.rpartition("@")[2], **headers},
        extensions={"sni_hostname": host} if parts.scheme == "https" else {},
    )
    try:
        return asyncio.run(_post(request, host, deadline_s))
    except httpx.HTTPError as error:
        raise DeliveryError(f"{host}: {error or type(error).__name__}") from error
    except TimeoutError:
        raise DeliveryError(f"{host} did not answer within {deadline_s:g} s") from None


async def _post(request: httpx.Request, host: str, deadline_s: float) -> bytes:
    """Send a request. The deadline holds for all of it, however slowly an answer drips."""
    async with (
        asyncio.timeout(deadline_s),
        httpx.AsyncClient(timeout=TIMEOUT, trust_env=False, follow_redirects=False) as client,
    ):
        response = await client.send(request, stream=True)
        received = bytearray()
        try:
            async for piece in response.aiter_raw():
                received += piece
                if len(received) > _LONGEST_ANSWER:
                    raise DeliveryError(f"{host} sends an answer without end")
        finally:
            await response.aclose()
        if not response.is_success:
            raise DeliveryError(f"{host} answered {response.status_code}")
        return bytes(received)


def checked_address(host: str, port: int, private: bool) -> str:
    """An address of a host that may be connected to; `private` allows those inside the network.

    Raises:
        DeliveryError: the host has no address, or one inside the network.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise DeliveryError(f"{host} has no address: {error}") from error
    addresses = [str(each[4][0]) for each in found]
    if not private:
        for each in addresses:
            if not ipaddress.ip_address(each.partition("%")[0]).is_global:
                raise UnsafeAddressError(
                    f"{host} is {each}, an address inside the network; "
                    "set SWITCHGEAR_ALERTS_ALLOW_PRIVATE=1 to allow it"
                )
    return addresses[0]
