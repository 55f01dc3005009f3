"""The hash chain of the audit trail: appending, verifying, and the signed head.

Each row's hash covers its columns and the hash of the row before, so that a changed, removed,
inserted or reordered row breaks the chain. The head is signed with an Ed25519 key derived from
SWITCHGEAR_SECRET_KEY and written to every log line and webhook: rows cut off at the end are
detected by comparing with a head that was kept elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import transaction

from dashboard.access import time_stamps
from dashboard.access.models import AuditEntry, AuditHead
from dashboard.common.audit_anchor import anchor
from dashboard.common.request_origin import origin

logger = logging.getLogger("switchgear.audit")
FIRST: Final = "0" * 64
_PAGE: Final = 1000
_COLUMNS: Final = ("number", "by", "act", "service", "breaker", "reason", "address", "session")


@transaction.atomic
def append(entry: AuditEntry) -> AuditEntry:
    """Append a row to the chain. Concurrent appends wait for one another until they commit."""
    AuditHead.objects.get_or_create(pk=1)
    head = AuditHead.objects.select_for_update().get(pk=1)
    came_from = origin.get()
    entry.number = head.number + 1
    entry.address, entry.session = came_from.address, came_from.session
    entry.detail = _jsonable(entry.detail)
    entry.previous = head.hash
    entry.hash = hash_of(entry)
    entry.save(force_insert=True)
    head.number, head.hash = entry.number, entry.hash
    head.signature = sign(head.number, head.hash)
    head.save()
    transaction.on_commit(lambda: _publish(entry, head))
    return entry


def hash_of(entry: AuditEntry) -> str:
    """The hash of a row: SHA-256 of its columns as canonical JSON."""
    content = {name: getattr(entry, name) for name in _COLUMNS}
    content |= {
        "person": entry.person_id,
        "at": entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "detail": _jsonable(entry.detail),
        "previous": entry.previous,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _jsonable(value: Any) -> Any:
    """A value as both databases return it: whole floats are integers, keys are text."""
    if isinstance(value, dict):
        return {str(key): _jsonable(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value) if isinstance(value, (set, frozenset)) else value
        return [_jsonable(each) for each in items]
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if value is None or isinstance(value, (str, int, bool)):
        return value
    return str(value)


# -- The signed head -------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def _key(secret: str) -> Ed25519PrivateKey:
    derived = HKDF(hashes.SHA256(), 32, None, b"switchgear audit head").derive(secret.encode())
    return Ed25519PrivateKey.from_private_bytes(derived)


def public_key() -> str:
    """The key that verifies heads, as base64: publish it where the logs are kept."""
    raw = _key(settings.SECRET_KEY).public_key()
    encoded = raw.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return base64.b64encode(encoded).decode()


def sign(number: int, hash: str) -> str:
    """The signature of a head."""
    signed = _key(settings.SECRET_KEY).sign(f"{number}:{hash}".encode())
    return base64.urlsafe_b64encode(signed).decode().rstrip("=")


def is_signed(number: int, hash: str, signature: str) -> bool:
    """Whether this installation has signed a head."""
    try:
        raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
        _key(settings.SECRET_KEY).public_key().verify(raw, f"{number}:{hash}".encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def head() -> str:
    """The head as `number:hash:signature`, or an empty text before the first row."""
    row = AuditHead.objects.filter(pk=1).first()
    return f"{row.number}:{row.hash}:{row.signature}" if row and row.number else ""


def _publish(entry: AuditEntry, head: AuditHead) -> None:
    anchor.set(head.number, f"{head.number}:{head.hash}:{head.signature}")
    logger.info(
        "audit",
        extra={
            "audit": {
                **{name: getattr(entry, name) for name in (*_COLUMNS, "detail", "hash")},
                "at": entry.at.isoformat(),
            }
        },
    )


# -- Verification ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finding:
    """What is wrong, at which row of the chain."""

    number: int
    problem: str


def verify(anchors: Iterator[str] | list[str] = ()) -> tuple[int, list[Finding]]:  # type: ignore[assignment]
    """Check the whole chain, the signed head and the stored time stamps, and that the chain
    contains the given anchors (heads as `number:hash:signature` that were kept elsewhere). Returns
    the number of rows and the findings, at most about 100."""
    expected: dict[int, str] = {}
    findings: list[Finding] = []
    for text in anchors:
        number, _, rest = text.strip().partition(":")
        hash, _, signature = rest.partition(":")
        if not number.isdigit() or not is_signed(int(number), hash, signature):
            findings.append(Finding(0, f"the anchor {text[:60]!r} is not signed by this key"))
        else:
            expected[int(number)] = hash
    rows, previous, last = 0, FIRST, 0
    for entry in _chain():
        rows += 1
        if entry.number != last + 1:
            findings.append(Finding(last + 1, f"rows {last + 1} to {entry.number - 1} are missing"))
        elif entry.previous != previous:
            findings.append(Finding(entry.number, "does not follow the row before"))
        if hash_of(entry) != entry.hash:
            findings.append(Finding(entry.number, "was changed: its hash differs"))
        if expected.pop(entry.number, entry.hash) != entry.hash:
            findings.append(Finding(entry.number, "differs from an anchor"))
        previous, last = entry.hash, entry.number
        if len(findings) >= 100:
            return rows, findings
    findings += [Finding(n, "an anchor names this row; the end is cut off") for n in expected]
    head = AuditHead.objects.filter(pk=1).first()
    if rows or head is not None:
        findings += _check_head(head, last, previous)
    findings += [Finding(*each) for each in islice(time_stamps.problems(), 100)]
    return rows, findings


def _check_head(head: AuditHead | None, last: int, hash: str) -> list[Finding]:
    if head is None:
        return [Finding(last, "the head is missing")]
    if head.number and not is_signed(head.number, head.hash, head.signature):
        return [Finding(head.number, "the head is not signed by this key")]
    if (head.number, head.hash) != (last, hash):
        return [Finding(head.number, f"the head is row {head.number}; the trail ends at {last}")]
    return []


def _chain() -> Iterator[AuditEntry]:
    last = -1
    while True:
        page = list(AuditEntry.objects.filter(number__gt=last).order_by("number")[:_PAGE])
        yield from page
        if len(page) < _PAGE:
            return
        last = page[-1].number
