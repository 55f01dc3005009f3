"""Batches put together for one transaction, and taken apart to find what is wrong with one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, fields, replace
from typing import Any

from dashboard.fleet.checkpoint_batch import Batch

# The fields that are keyed by the service, or by a tuple that begins with it.
_KEYED = tuple(
    each.name
    for each in fields(Batch)
    if each.name not in ("transitions", "partition", "epoch", "position")
)


def merged(batches: Iterable[Batch]) -> Batch:
    """One batch with all that several hold. No service is in two of them."""
    whole = Batch()
    for each in batches:
        for name in _KEYED:
            getattr(whole, name).update(getattr(each, name))
        whole.transitions += each.transitions
    return whole


def services(batch: Batch) -> set[str]:
    """The services that a batch tells of."""
    named = {
        key if isinstance(key, str) else key[0] for name in _KEYED for key in getattr(batch, name)
    }
    return named | {each.service for each in batch.transitions}


def by_service(batch: Batch) -> list[Batch]:
    """The same, in a batch for each service."""
    parts = {name: replace(batch, transitions=[]) for name in sorted(services(batch))}
    for part in parts.values():
        for name in _KEYED:
            setattr(part, name, {})
    for name in _KEYED:
        for key, value in getattr(batch, name).items():
            service = key if isinstance(key, str) else key[0]
            getattr(parts[service], name)[key] = value
    for each in batch.transitions:
        parts[each.service].transitions.append(each)
    return list(parts.values())


def as_json(batch: Batch) -> str:
    """All that a batch holds, for a person to read. ASCII, so that any database takes it."""
    content: dict[str, Any] = {
        name: [
            [list(key) if isinstance(key, tuple) else key, _jsonable(value)]
            for key, value in getattr(batch, name).items()
        ]
        for name in _KEYED
    }
    content["transitions"] = [asdict(each) for each in batch.transitions]
    return json.dumps(content, default=str)


def _jsonable(value: Any) -> Any:
    counts, latencies = getattr(value, "counts", None), getattr(value, "latencies", None)
    if counts is None or latencies is None:
        return value
    return {"counts": counts, "buckets": latencies.buckets, "sum_s": latencies.sum_s}
