"""Tunes the interpreter for processes that decode many messages.

Decoded messages contain no cycles, but each container counts towards the next garbage collection,
and a full collection visits every object of the process.

A thread that comes back from the database waits for the interpreter's lock while the event loop is
busy: five milliseconds by default, and once for each of its queries.
"""

import gc
import sys
from typing import Final

# The thresholds of the three generations.
_THRESHOLDS: Final = (20_000, 10, 50)


_SWITCH_S: Final = 0.0005


def tune_interpreter() -> None:
    """Freeze the objects that exist now, raise the thresholds of the collector, and let threads
    take turns more often. Call once, after start-up."""
    sys.setswitchinterval(_SWITCH_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
