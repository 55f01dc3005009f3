"""Reads of this room."""

from typing import Any

from breakers.circuit.policy import FIELDS, Policy
from breakers.protocol import messages as wire
from dashboard.policies.models import BreakerPolicy


def in_force(service: str) -> list[wire.PolicyItem]:
    """The policies of a service as agents are told them."""
    rows = BreakerPolicy.objects.filter(service=service).exclude(fields={})
    return [wire.PolicyItem(breaker=row.breaker, fields=row.fields) for row in rows]


def explained(service: str, breaker: str) -> list[dict[str, Any]]:
    """Each field of a breaker's policy: the value in force and where it comes from."""
    head = BreakerPolicy.objects.filter(service=service, breaker=breaker).first()
    declared, set_here = (head.declared, head.fields) if head else ({}, {})
    defaults = Policy().as_dict()
    return [
        {
            "spec": spec,
            "value": set_here.get(name, declared.get(name, defaults[name])),
            "declared": declared.get(name, defaults[name]),
            "source": "dashboard" if name in set_here else "code" if declared else "default",
        }
        for name, spec in FIELDS.items()
    ]


def head(service: str, breaker: str) -> BreakerPolicy | None:
    """The row that the forms edit, if the breaker has been seen."""
    return BreakerPolicy.objects.filter(service=service, breaker=breaker).first()
