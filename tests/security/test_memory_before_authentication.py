"""Memory before authentication: what strangers send is bounded before it is kept or looked up."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from breakers.protocol import messages as wire
from dashboard.access.service_tokens import Grant
from dashboard.api.agents.authentication import (
    MAX_HEADER_BYTES,
    Authenticator,
    bearer,
    check_headers,
)
from dashboard.api.agents.http import _body

pytestmark = pytest.mark.django_db
GOOD = "swg_" + "g" * 43


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Lookup:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, token: str, address: str) -> Grant | None:
        self.asked.append(token)
        return Grant("shop") if token == GOOD else None


async def test_a_token_of_the_wrong_length_is_neither_looked_up_nor_kept() -> None:
    lookup = Lookup()
    authenticator = Authenticator(lookup)
    for token in ("", "short", "x" * 201, "x" * 2_000_000):
        assert await authenticator.grant_of(token, "10.0.0.1") is None
    assert lookup.asked == []
    assert not authenticator._invalid


async def test_unknown_tokens_of_one_address_are_limited_and_known_ones_go_on() -> None:
    lookup, clock = Lookup(), Clock()
    authenticator = Authenticator(lookup, clock)
    assert await authenticator.grant_of(GOOD, "10.0.0.1") == Grant("shop")
    for n in range(20):
        assert await authenticator.grant_of(f"{n:040}", "10.0.0.1") is None
    with pytest.raises(wire.WireError) as refused:
        await authenticator.grant_of("y" * 40, "10.0.0.1")
    assert refused.value.refused.code == "over_budget"
    assert len(lookup.asked) == 21
    clock.now = 5.5  # the cached result of the good token is over; it is looked up all the same
    assert await authenticator.grant_of(GOOD, "10.0.0.1") == Grant("shop")
    assert await authenticator.grant_of("z" * 40, "10.0.0.2") is None


async def test_the_cache_of_unknown_tokens_is_small() -> None:
    authenticator = Authenticator(Lookup())
    for n in range(1500):
        await authenticator.grant_of(f"{n:040}", f"10.0.{n // 250}.{n % 250}")
    assert len(authenticator._invalid) <= 1000


def test_headers_that_no_agent_sends_are_refused() -> None:
    check_headers([(b"authorization", b"Bearer " + GOOD.encode())])
    with pytest.raises(wire.WireError) as refused:
        check_headers([(b"x-%d" % n, b"y" * 1000) for n in range(20)])
    assert refused.value.refused.code == "headers_too_large"
    assert bearer([(b"authorization", b"Bearer " + b"x" * (MAX_HEADER_BYTES + 1))]) == ""


def receiving(*chunks: bytes) -> Any:
    events = [
        {"type": "http.request", "body": chunk, "more_body": n < len(chunks) - 1}
        for n, chunk in enumerate(chunks)
    ]

    async def receive() -> Any:
        return events.pop(0)

    return receive


async def test_bytes_after_a_gzip_body_are_refused_at_once() -> None:
    packed = gzip.compress(b"a report")
    assert await _body(receiving(packed), "gzip") == b"a report"
    for chunks in ((packed + b"x",), (packed, b"x", b"never read"), (packed + packed,)):
        with pytest.raises(wire.WireError, match="bytes follow the end"):
            await _body(receiving(*chunks), "gzip")
    with pytest.raises(wire.WireError, match="ends early"):
        await _body(receiving(packed[:-4]), "gzip")


async def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    with pytest.raises(wire.WireError) as refused:
        await _body(receiving(gzip.compress(bytes(64 * 2**20))), "gzip")
    assert refused.value.refused.code == "too_large"
