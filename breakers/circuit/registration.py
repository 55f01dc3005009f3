"""How a breaker is registered. The registry builds on breakers, which know its methods only."""

from __future__ import annotations

from typing import Any, Final, Protocol

from breakers.common import names
from breakers.errors import PolicyError

# What a breaker without a name is called.
UNNAMED: Final = "unnamed"


class Registers(Protocol):
    """What takes named breakers in."""

    def add(self, breaker: Any) -> None: ...


class DefaultRegistry:
    """The registry of the process, which `breakers.circuit.registry` puts here."""

    registry: Any

    def add(self, breaker: Any) -> None:
        """Take a breaker in."""
        self.registry.add(breaker)

    def get_or_create(self, name: str, **fields: Any) -> Any:
        """The breaker of that name, made if there is none."""
        return self.registry.get_or_create(name, **fields)


default_registry = DefaultRegistry()


def named(name: object) -> str:
    """The name of a breaker, in a form that every wire, log and screen can carry.

    Raises:
        PolicyError: it cannot be one.
    """
    if name is None or name == "":
        return UNNAMED
    if not isinstance(name, str) or not names.is_name(name):
        raise PolicyError("name", name, names.ALLOWED)
    return name
