"""A breaker for each host that is called."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import Any, Final

from breakers.calls.backends import harmless
from breakers.circuit.breaker import CircuitBreaker
from breakers.circuit.policy import Policy
from breakers.circuit.registry import Registry
from breakers.circuit.registry import registry as default_registry
from breakers.common.forking import renew_after_fork
from breakers.errors import RegistryFull

BreakerFor = CircuitBreaker | Callable[[str], CircuitBreaker | None] | None
_LONGEST_NAME: Final = 120
_USUAL_PORTS: Final = {"http": 80, "https": 443, "redis": 6379}


class PerHost:
    """Makes and finds the breaker of a host: named after it, registered, shared by all who ask the
    same registry.

    Args:
        max_hosts: how many it makes. Calls to hosts beyond pass without a breaker, which the log
            says once a minute: are host names made from user input?
        prefix: put before the host's name.
        registry: where the breakers are registered.
        fields: any field of `Policy`, for each of them.

    Raises:
        PolicyError: a field has a value it cannot have.

    >>> per_host = PerHost(failure_threshold=3, registry=Registry())
    >>> per_host("api.example.com")
    <CircuitBreaker 'api.example.com' closed>
    """

    def __init__(
        self,
        *,
        max_hosts: int = 200,
        prefix: str = "",
        registry: Registry = default_registry,
        **fields: object,
    ) -> None:
        if max_hosts < 1:
            raise ValueError(f"max_hosts is {max_hosts}; it must be at least 1")
        Policy().replace(fields)
        self.max_hosts = max_hosts
        self._prefix, self._registry = prefix, registry
        self._fields = fields
        self._made: set[str] = set()
        self._after_fork()
        renew_after_fork(self)

    def _after_fork(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, host: str) -> CircuitBreaker | None:
        """The breaker of `host`, or None beyond the bound."""
        name = fitting(self._prefix + host)
        found = self._registry.get(name)
        if found is not None:
            return found
        with harmless("breaker per host"), self._lock:
            if name not in self._made and len(self._made) >= self.max_hosts:
                raise RegistryFull(f"{self.max_hosts} hosts already; {name!r} has no breaker")
            made = named(name, self._registry, self._fields)
            self._made.add(name)
            return made
        return None


# One for all clients: a host has one breaker, whichever client asks it.
PER_HOST: Final = PerHost()


def host_name(scheme: str, host: str, port: int | None) -> str:
    """How a host's breaker is called: its name, and its port where that is not the usual one.

    >>> host_name("https", "api.example.com", 443), host_name("http", "10.0.0.7", 8080)
    ('api.example.com', '10.0.0.7:8080')
    """
    usual = port is None or port == _USUAL_PORTS.get(scheme)
    name = f"[{host}]" if ":" in host else host
    return name if usual else f"{name}:{port}"


def breaker_for(breaker: BreakerFor, host: str) -> CircuitBreaker | None:
    """The breaker that guards `host`. A breaker is a function too: it decorates."""
    if breaker is None or isinstance(breaker, CircuitBreaker):
        return breaker
    return breaker(host)


def fitting(name: str) -> str:
    """A name that a breaker may have: of one that is too long the beginning, and a digest of all.

    >>> len(fitting("a" * 200)), fitting("api.example.com")
    (120, 'api.example.com')
    """
    if len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{name[: _LONGEST_NAME - len(digest) - 1]}~{digest}"


def named(name: str, registry: Registry, fields: dict[str, object]) -> CircuitBreaker:
    """The registered breaker of that name, made with these fields of `Policy` if there is none.

    Raises:
        PolicyError: a field has a value it cannot have.
        RegistryFull: there is no room for it.
    """
    name, own = fitting(name), dict[str, Any](fields)
    return registry.get_or_create(name, lambda: CircuitBreaker(name=name, registry=None, **own))
