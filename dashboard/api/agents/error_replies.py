"""Refusals as the agents' API sends them: a close code, a status and a JSON body."""

from typing import Final

import msgspec

from breakers.protocol import messages as wire
from breakers.protocol.codes import CODES

STATUS: Final = {name: code.status for name, code in CODES.items()}
CLOSE_CODES: Final = {name: code.close for name, code in CODES.items() if code.close is not None}
RETRY_AFTER_S: Final = 2


def refusal(code: str, message: str, field: str = "") -> wire.Refused:
    """A refusal; `code` is one of `breakers.protocol.codes.CODES`."""
    return wire.Refused(code=code, message=message, field=field)


def answer(refused: wire.Refused) -> bytes:
    """The JSON body of a refusal."""
    return msgspec.json.encode(refused)
