"""How the gate says no: the same refusal as a close code, a status and a JSON body."""

from typing import Final

import msgspec

from breakers.protocol import messages as wire

STATUS: Final = {
    "unauthenticated": 401,
    "forbidden": 403,
    "method": 405,
    "too_large": 413,
    "content_type": 415,
    "encoding": 415,
    "malformed": 400,
    "invalid": 400,
    "unknown_version": 400,
    "busy": 503,
}
CLOSE_CODES: Final = {
    "unauthenticated": 4401,
    "forbidden": 4403,
    "too_large": 1009,
    "malformed": 4400,
    "invalid": 4400,
    "unknown_version": 4406,
    "busy": 1013,
}
RETRY_AFTER_S: Final = 2


def refusal(code: str, message: str, field: str = "") -> wire.Refused:
    """A refusal; `code` is one of `STATUS`."""
    return wire.Refused(code=code, message=message, field=field)


def answer(refused: wire.Refused) -> bytes:
    """The JSON body of a refusal."""
    return msgspec.json.encode(refused)
