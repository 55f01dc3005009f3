"""The process's named breakers: bounded, so that names made from user input cannot eat memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from breakers.circuit.breaker import CircuitBreaker
from breakers.circuit.registration import default_registry
from breakers.common.forking import renew_after_fork
from breakers.common.guard import Guard, Nested
from breakers.common.validation import whole
from breakers.errors import RegistryFull

OnCreate = Callable[[CircuitBreaker], None]


class Registry:
    """Breakers by name.

    >>> from breakers import CircuitBreaker, Registry
    >>> mine = Registry(max_breakers=2)
    >>> posts = CircuitBreaker(name="posts", registry=mine)
    >>> mine.get("posts") is posts
    True
    """

    def __init__(self, max_breakers: int = 1000) -> None:
        self.max_breakers = whole("max_breakers", max_breakers)
        self._breakers: dict[str, CircuitBreaker] = {}
        self._listeners: list[OnCreate] = []
        self._guard = Guard()
        renew_after_fork(self)

    def add(self, breaker: CircuitBreaker) -> None:
        """Take a breaker in.

        Raises:
            RegistryFull: at `max_breakers`.
            ValueError: another breaker has the name.
        """
        if isinstance(self._guard.run_now(self._add, breaker), Nested):
            # A finaliser or a handler in the middle of another addition: each step is atomic.
            self._add(breaker)
        listeners = tuple(self._listeners)
        for listener in listeners:
            listener(breaker)

    def _add(self, breaker: CircuitBreaker) -> None:
        known = breaker.name in self._breakers
        if not known and len(self._breakers) >= self.max_breakers:
            raise RegistryFull(f"{self.max_breakers} breakers already; {breaker.name!r} is refused")
        if self._breakers.setdefault(breaker.name, breaker) is not breaker:
            raise ValueError(
                f"there is a breaker named {breaker.name!r} already; "
                "share it, use registry.get_or_create, or pass registry=None"
            )

    def get_or_create(
        self, name: str, make: Callable[[], CircuitBreaker] | None = None, **fields: Any
    ) -> CircuitBreaker:
        """The breaker of that name; the first to ask makes it, with these fields of
        `CircuitBreaker`. Of two that race, one is kept and returned to both.

        `make` builds it instead, with `registry=None`.

        >>> from breakers import Registry
        >>> mine = Registry()
        >>> posts = mine.get_or_create("posts", failure_threshold=3)
        >>> mine.get_or_create("posts") is posts
        True
        """
        found = self._breakers.get(name)
        if found is not None:
            return found
        if make is None:  # noqa: SIM108
            made = CircuitBreaker(name=name, registry=None, **fields)
        else:
            made = make()
        if made.name != name:
            raise ValueError(f"make() built {made.name!r}, not {name!r}")
        try:
            self.add(made)
        except ValueError:
            return self._breakers[name]
        return made

    def get(self, name: str) -> CircuitBreaker | None:
        """The breaker of that name, or None."""
        return self._breakers.get(name)

    def remove(self, name: str) -> None:
        """Forget a breaker; code that holds it may go on using it."""
        self._breakers.pop(name, None)

    def all(self) -> list[CircuitBreaker]:
        """Every breaker, in the order of creation."""
        return list(self._breakers.values())

    def on_create(self, listener: OnCreate) -> None:
        """Call `listener` with each breaker that is taken in from now on."""
        self._listeners.append(listener)

    def off_create(self, listener: OnCreate) -> None:
        """Stop calling `listener`."""
        self._listeners.remove(listener)

    def _after_fork(self) -> None:
        self._guard = Guard()


registry = Registry()
default_registry.registry = registry
