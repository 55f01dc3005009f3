"""Ends a process when its parent is gone, however the parent went: no orphan survives a kill -9.

The parent holds the writing end of the child's standard input and never writes. When the parent
ends, for whatever reason, the system closes that end, and the child reads its end of file. This
works on every Unix, for threads and wrappers in between too, which PR_SET_PDEATHSIG does not.
"""

from __future__ import annotations

import os
import signal
import threading
import time

GRACE_S = 4.0


def hold_on_to_parent() -> None:
    """From now on, when standard input closes, this process gets SIGTERM, and later is killed."""
    threading.Thread(target=_watch, name="tether", daemon=True).start()


def _watch() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(1)
