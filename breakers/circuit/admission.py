"""Selects the implementation of admission: the C extension where it was built, plain Python
elsewhere.

`SWITCHGEAR_PURE=1` selects plain Python. Free-threaded Python always uses it, because the extension
relies on the interpreter lock for its counters. A checkout whose extension is older than its source
uses it too: the two would not agree on the layout. The extension refuses to load in
subinterpreters."""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING, Any

COMPILED = False
# The compiled time limits of calls; None where there are none.
TaskLimit: Any = None
TimeLimit: Any = None


def is_current(build: int, source: str | os.PathLike[str]) -> bool:
    """Whether an extension was built from this source. True without a source, as in an installed
    package: both come from one wheel."""
    try:
        with open(source, "rb") as file:
            return zlib.crc32(file.read()) == build
    except OSError:
        return True


if TYPE_CHECKING or os.environ.get("SWITCHGEAR_PURE"):
    from breakers.circuit.admission_plain import Admission, Ticket, count_latencies
else:
    try:
        from breakers.circuit import _admission
        from breakers.circuit._admission import SOURCE, count_latencies
        from breakers.circuit.admission_compiled import Admission, Ticket

        if not is_current(SOURCE, os.path.join(os.path.dirname(__file__), "_admission.c")):
            raise ImportError("the extension is older than its source")

        COMPILED = True
        TaskLimit, TimeLimit = _admission.TaskLimit, _admission.TimeLimit
    except ImportError:
        from breakers.circuit.admission_plain import Admission, Ticket, count_latencies

__all__ = [
    "COMPILED",
    "Admission",
    "TaskLimit",
    "Ticket",
    "TimeLimit",
    "count_latencies",
    "is_current",
]
