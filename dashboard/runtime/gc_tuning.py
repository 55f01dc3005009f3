"""Tunes Python's garbage collector for processes that decode many messages.

Decoded messages contain no cycles, but each container counts towards the next collection, and a
full collection visits every object of the process.
"""

import gc
from typing import Final

# The thresholds of the three generations.
_THRESHOLDS: Final = (20_000, 10, 50)


def tune_gc() -> None:
    """Freeze the objects that exist now and raise the thresholds. Call once, after start-up."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
