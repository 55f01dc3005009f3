"""Keeps Python's collector of reference cycles out of the way of processes that decode much.

What is decoded has no cycles, but each container counts towards the next collection, and a full one
looks at every object there is: at Django's, which stay for good, and at the whole fleet's.
"""

import gc
from typing import Final

# Young objects before a look at them, and such looks before one at those that are older.
_THRESHOLDS: Final = (20_000, 10, 50)


def settle() -> None:
    """Call once, when everything that stays for good is there."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
