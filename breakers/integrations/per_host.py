"""One breaker per host."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final

from breakers.calls.backends import swallow_errors
from breakers.circuit.breaker import CircuitBreaker
from breakers.circuit.policy import Policy
from breakers.circuit.registry import Registry
from breakers.circuit.registry import registry as default_registry
from breakers.common.forking import renew_after_fork
from breakers.common.guard import Guard, Nested
from breakers.errors import RegistryFull

BreakerFor = CircuitBreaker | Callable[[str], CircuitBreaker | None] | None
_LONGEST_NAME: Final = 120
_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "redis": 6379}


class PerHost:
    """Finds or creates the breaker of a host, named after it and shared through the registry.

    Args:
        max_hosts: the maximum number of breakers. Calls to further hosts pass without one, with
            a log message once a minute. Host names may come from user input.
        prefix: a prefix of the breaker names.
        registry: the registry of the breakers.
        fields: any field of `Policy`, for each breaker.

    Raises:
        PolicyError: a field has a value out of range.

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
        self._guard = Guard()

    def __call__(self, host: str) -> CircuitBreaker | None:
        """The breaker of `host`, or None above `max_hosts`."""
        name = fit_name(self._prefix + host)
        found = self._registry.get(name)
        if found is not None:
            return found
        with swallow_errors("breaker per host"):
            made = self._guard.run_now(self._make, name)
            return None if isinstance(made, Nested) else made
        return None

    def _make(self, name: str) -> CircuitBreaker:
        if name not in self._made and len(self._made) >= self.max_hosts:
            raise RegistryFull(f"{self.max_hosts} hosts already; {name!r} has no breaker")
        made = get_or_create_breaker(name, self._registry, self._fields)
        self._made.add(name)
        return made


# Shared by all clients: a host has one breaker, whichever client calls it.
PER_HOST: Final = PerHost()


def host_name(scheme: str, host: str, port: int | None) -> str:
    """The name of a host's breaker: the host, and the port if it is not the default one.

    >>> host_name("https", "api.example.com", 443), host_name("http", "10.0.0.7", 8080)
    ('api.example.com', '10.0.0.7:8080')
    """
    usual = port is None or port == _DEFAULT_PORTS.get(scheme)
    name = f"[{host}]" if ":" in host else host
    return name if usual else f"{name}:{port}"


def breaker_for(breaker: BreakerFor, host: str) -> CircuitBreaker | None:
    """The breaker that guards `host`."""
    # A breaker is callable too: it is a decorator.
    if breaker is None or isinstance(breaker, CircuitBreaker):
        return breaker
    return breaker(host)


def fit_name(name: str) -> str:
    """A valid breaker name. A name that is too long is cut and ends with a digest.

    >>> len(fit_name("a" * 200)), fit_name("api.example.com")
    (120, 'api.example.com')
    """
    if len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{name[: _LONGEST_NAME - len(digest) - 1]}~{digest}"


def get_or_create_breaker(
    name: str, registry: Registry, fields: dict[str, object]
) -> CircuitBreaker:
    """The registered breaker of that name, created with these fields of `Policy` if needed.

    Raises:
        PolicyError: a field has a value out of range.
        RegistryFull: the registry is at `max_breakers`.
    """
    name, own = fit_name(name), dict[str, Any](fields)
    return registry.get_or_create(name, **own)
