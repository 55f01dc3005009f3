"""Chooses what every call runs through: the C extension where it was built, plain Python elsewhere.

`SWITCHGEAR_PURE=1` asks for plain Python. Free-threaded Python always gets it: the extension relies
on the interpreter lock for its counters. So does who has changed or pulled the extension's source
and not built it again: the two would not understand each other.
"""

from __future__ import annotations

import os
import zlib
from typing import TYPE_CHECKING

COMPILED = False


def is_current(build: int, source: str | os.PathLike[str]) -> bool:
    """Whether an extension was built from this source. Where there is none, as in an installed
    package, they came together."""
    try:
        with open(source, "rb") as file:
            return zlib.crc32(file.read()) == build
    except OSError:
        return True


if TYPE_CHECKING or os.environ.get("SWITCHGEAR_PURE"):
    from breakers.circuit.admission_plain import Entry, Gate, tally
else:
    try:
        from breakers.circuit._admission import SOURCE, tally
        from breakers.circuit.admission_compiled import Entry, Gate

        if not is_current(SOURCE, os.path.join(os.path.dirname(__file__), "_admission.c")):
            raise ImportError("the extension is older than its source")

        COMPILED = True
    except ImportError:
        from breakers.circuit.admission_plain import Entry, Gate, tally

__all__ = ["COMPILED", "Entry", "Gate", "is_current", "tally"]
