"""Codes of a refusal: as a WebSocket close code and as an HTTP status, in one table."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, NamedTuple


class Code(NamedTuple):
    """How one kind of refusal travels. `close` is None where only HTTP knows it."""

    status: int
    close: int | None = None


CODES: Final = MappingProxyType(
    {
        "unauthenticated": Code(401, 4401),
        "forbidden": Code(403, 4403),
        "method": Code(405),
        "too_large": Code(413, 1009),
        "content_type": Code(415),
        "encoding": Code(415),
        "malformed": Code(400, 4400),
        "invalid": Code(400, 4400),
        "unknown_version": Code(400, 4406),
        "headers_too_large": Code(431, 4400),
        "over_budget": Code(429, 4429),
        "busy": Code(503, 1013),
    }
)
GOING_AWAY: Final = frozenset({1001, 1012})
# What a client makes of a close code or a status. `over_budget` is a reason to come back later.
FROM_CLOSE: Final = MappingProxyType(
    {code.close: name for name, code in reversed(list(CODES.items())) if code.close}
    | dict.fromkeys(GOING_AWAY, "going_away")
)
