"""Where the current request comes from, for the audit trail."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Origin:
    """The address of a request, and a short hash of its session or its token."""

    address: str = ""
    session: str = ""


_NOWHERE = Origin()
origin: ContextVar[Origin] = ContextVar("switchgear_origin", default=_NOWHERE)
