"""Ends a process when its parent is gone, however the parent went: no orphan survives a kill -9.

The parent holds the writing end of the child's standard input and never writes. When the parent
ends, for whatever reason, the system closes that end, and the child reads its end of file. This
works on every Unix, for threads and wrappers in between too, which PR_SET_PDEATHSIG does not.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

GRACE_S = 4.0


def hold_on_to_parent(grace_s: float = GRACE_S) -> None:
    """From now on, when standard input closes, this process gets SIGTERM, and later is killed."""
    threading.Thread(target=_watch, args=(grace_s,), name="tether", daemon=True).start()


def _watch(grace_s: float) -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(grace_s)
    os._exit(1)


def end_with_parent() -> None:
    """From now on, this process gets SIGTERM when the thread that started it ends; for programs
    that are not ours to tether. Only Linux has this; elsewhere nothing happens. A change of user
    undoes it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
