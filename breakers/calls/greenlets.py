"""Timers for greenlets: gevent and eventlet, which are never imported, only found.

Under a hub of greenlets an alarm interrupts whichever greenlet runs. A timer of the hub raises in
the greenlet that set it, when that one waits.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Protocol

Throw = Callable[[], object]


class Timer(Protocol):
    """A timer of a hub."""

    def start(self, seconds: float, throw: Throw) -> None: ...

    def stop(self) -> None: ...


class GeventTimer:
    """Calls `throw` in gevent's hub, which switches to the greenlet that is to raise."""

    def __init__(self, hub: Any) -> None:
        self._hub = hub
        self._timer: Any = None

    def start(self, seconds: float, throw: Throw) -> None:
        self.stop()
        self._timer = self._hub.loop.timer(seconds)
        self._timer.start(throw)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None


class EventletTimer:
    """The same with eventlet's hub."""

    def __init__(self, hub: Any) -> None:
        self._hub = hub
        self._timer: Any = None

    def start(self, seconds: float, throw: Throw) -> None:
        self.stop()
        self._timer = self._hub.schedule_call_global(seconds, throw)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def hub_timer() -> Timer | None:
    """A timer of the hub that runs this thread's greenlets; None if there is no hub.

    A hub counts if it exists already, or if the library has patched `threading`.
    """
    hub = _gevent_hub()
    if hub is not None:
        return GeventTimer(hub)
    hub = _eventlet_hub()
    return None if hub is None else EventletTimer(hub)


def _gevent_hub() -> Any:
    local: Any = sys.modules.get("gevent._hub_local")
    if local is None:
        return None
    hub = local.get_hub_if_exists()
    if hub is not None:
        return hub
    monkey: Any = sys.modules.get("gevent.monkey")
    is_patched = monkey is not None and monkey.is_module_patched("threading")
    return local.get_hub() if is_patched else None


def _eventlet_hub() -> Any:
    hubs: Any = sys.modules.get("eventlet.hubs")
    if hubs is None:
        return None
    hub = getattr(hubs._threadlocal, "hub", None)
    if hub is not None:
        return hub
    patcher: Any = sys.modules.get("eventlet.patcher")
    is_patched = patcher is not None and patcher.is_monkey_patched("thread")
    return hubs.get_hub() if is_patched else None


def current_greenlet() -> Any:
    """The running greenlet; None if no code of this process uses greenlets."""
    greenlet: Any = sys.modules.get("greenlet")
    return None if greenlet is None else greenlet.getcurrent()
