"""Chooses what every call runs through: the C extension where it was built, plain Python elsewhere.

`SWITCHGEAR_PURE=1` asks for plain Python. Free-threaded Python always gets it: the extension relies
on the interpreter lock for its counters.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

COMPILED = False

if TYPE_CHECKING or os.environ.get("SWITCHGEAR_PURE"):
    from breakers.gate import Entry, Gate, tally
else:
    try:
        from breakers._hot import tally
        from breakers.compiled import Entry, Gate

        COMPILED = True
    except ImportError:
        from breakers.gate import Entry, Gate, tally

__all__ = ["COMPILED", "Entry", "Gate", "tally"]
