"""Active probes: the test calls of half-open breakers that nobody calls.

A breaker that is half-open in a process without calls, a master of workers or an idle worker, would
stay half-open until somebody calls. One that was made with `probe=` is tested by the agent.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from breakers.circuit.states import State
from breakers.common.rules import is_async
from breakers.errors import CircuitBreakerOpen

if TYPE_CHECKING:
    from breakers.circuit.breaker import CircuitBreaker

logger = logging.getLogger("breakers.agent")

# So long a breaker waits half-open for calls of the service before it is tested.
IDLE_S: Final = 10.0
# Probes that run at once, each in a thread of its own; one that hangs keeps its thread.
_AT_ONCE: Final = 8


class ActiveProbes:
    """Looks at each interval which breakers wait; used by the agent's thread alone. The probes run
    in threads, so that one that hangs delays no report."""

    def __init__(
        self, breakers: Callable[[], Iterable[CircuitBreaker]], idle_s: float = IDLE_S
    ) -> None:
        self._breakers = breakers
        self._idle_s = idle_s
        self._running: dict[str, threading.Thread] = {}
        self._said: set[str] = set()

    def look(self) -> None:
        """Start a probe of each breaker that has been half-open for a while and that nobody is
        calling."""
        self._running = {name: each for name, each in self._running.items() if each.is_alive()}
        for breaker in self._breakers():
            if breaker.probe is None or breaker.name in self._running:
                continue
            if len(self._running) >= _AT_ONCE:
                return
            if _waits(breaker, self._idle_s):
                thread = threading.Thread(
                    target=self._test, args=(breaker,), name="breakers-probe", daemon=True
                )
                self._running[breaker.name] = thread
                thread.start()

    def _test(self, breaker: CircuitBreaker) -> None:
        """Probe until the breaker is no longer half-open: it closes after `success_threshold`
        successes, and opens after a failure."""
        for _ in range(max(1, breaker.policy.success_threshold)):
            if breaker.state is not State.HALF_OPEN:
                return
            try:
                _call(breaker)
            except CircuitBreakerOpen:
                return
            except Exception as error:
                self._say(breaker.name, error)
                return

    def _say(self, name: str, error: Exception) -> None:
        """Log a failed probe, the first of each breaker."""
        if name not in self._said and len(self._said) < 1000:
            self._said.add(name)
            logger.info("the probe of %r failed: %r; it is tried again when it may be", name, error)


def _waits(breaker: CircuitBreaker, idle_s: float) -> bool:
    if breaker.state is not State.HALF_OPEN:
        return False
    shot = breaker.snapshot()
    return shot.since_s >= idle_s and shot.in_flight == 0


def _call(breaker: CircuitBreaker) -> None:
    probe = breaker.probe
    assert probe is not None
    if is_async(probe):
        with suppress(asyncio.CancelledError):
            asyncio.run(breaker.acall(probe))  # type: ignore[arg-type]
    else:
        breaker.call(probe)
