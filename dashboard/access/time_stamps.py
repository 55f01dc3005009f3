"""Time stamps of the audit chain's head by an authority (RFC 3161), asked for and verified.

What is stamped is the text `number:hash`. Whoever holds the database and the secret key can rewrite
the chain and sign it again, but has no token of the authority for it with an earlier time. Tokens
are stored append-only. A head that was not stamped, because the authority did not answer, is
covered by the next one that is: each head contains all before.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.utils import timezone
from rfc3161_client import (
    HashAlgorithm,
    TimeStampRequest,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from breakers import BreakerError, CircuitBreaker
from breakers.clock import SYSTEM_CLOCK, Clock
from dashboard.access.models import AuditEntry, AuditHead, AuditTimeStamp
from dashboard.common import guarded_http
from dashboard.common.background_job import BackgroundJob

logger = logging.getLogger("switchgear.audit_stamps")
_HEADERS: Final = {"Content-Type": "application/timestamp-query"}
_SHA256: Final = "2.16.840.1.101.3.4.2.1"
_GRANTED: Final = 0
_PAGE: Final = 500
background: Final = BackgroundJob("time-stamps", lambda: stamp_if_due())


class TimeStampError(Exception):
    """An answer of the authority is no valid time stamp; the text says why."""


def new_breaker(clock: Clock = SYSTEM_CLOCK) -> CircuitBreaker:
    """A breaker for the authority."""
    # While the authority does not answer, it is asked every five minutes.
    return CircuitBreaker(
        name="time stamps", failure_threshold=3, timeout_duration=300, success_threshold=1,
        registry=None, clock=clock,
    )  # fmt: skip


_breaker = new_breaker()


# -- Asking ----------------------------------------------------------------------------------------


def start() -> bool:
    """Stamp the head in the background. Returns whether it was started."""
    return bool(settings.TSA_URL) and background.start()


def stamp_if_due(now: datetime | None = None) -> AuditTimeStamp | None:
    """Have the head stamped if an authority is configured, the head has moved since it was last
    stamped, and `TSA_EVERY_S` seconds are over. Returns the stored row. An authority that fails is
    logged; the next call asks again."""
    now = now or timezone.now()
    head = AuditHead.objects.filter(pk=1).first()
    if not settings.TSA_URL or head is None or not head.number or not _is_due(head, now):
        return None
    try:
        answer, at = _breaker.call(_ask, head.number, head.hash)
    except BreakerError:
        return None
    except (guarded_http.DeliveryError, TimeStampError) as error:
        logger.warning("no time stamp for row %d of the audit trail: %s", head.number, error)
        return None
    # Another process may have stamped the same head meanwhile.
    row, _ = AuditTimeStamp.objects.get_or_create(
        number=head.number, hash=head.hash, defaults={"answer": answer, "at": at, "stored": now}
    )
    logger.info("row %d of the audit trail is time-stamped: %s", row.number, row.at.isoformat())
    return row


def _is_due(head: AuditHead, now: datetime) -> bool:
    last = AuditTimeStamp.objects.order_by("-id").first()
    if last is None:
        return True
    if (last.number, last.hash) == (head.number, head.hash):
        return False
    # A row from the future was stored before the clock stepped back.
    return not timedelta(0) <= now - last.stored < timedelta(seconds=settings.TSA_EVERY_S)


def _ask(number: int, hash: str) -> tuple[bytes, datetime]:
    """Ask for a time stamp. Returns the answer, verified, and its time."""
    builder = TimestampRequestBuilder().data(_stamped(number, hash))
    request: TimeStampRequest = builder.hash_algorithm(HashAlgorithm.SHA256).build()
    # The URL comes from the settings, and an authority inside the network is a usual one.
    answer = guarded_http.post(settings.TSA_URL, request.as_bytes(), _HEADERS, private=True)
    return answer, check(answer, number, hash, request.nonce)


# -- Verifying -------------------------------------------------------------------------------------


def check(answer: bytes, number: int, hash: str, nonce: int | None = None) -> datetime:
    """Verify an answer of the authority for a head, with the signature if `TSA_CA` is set. Returns
    the time it states.

    Raises:
        TimeStampError: it is not a time stamp, or not one of this head or by this authority.
    """
    try:
        response = decode_timestamp_response(answer)
        if response.status != _GRANTED:
            said = " ".join(response.status_string) or f"status {response.status}"
            raise TimeStampError(f"the authority refused: {said[:200]}")
        return _checked_time(response, hashlib.sha256(_stamped(number, hash)).digest(), nonce)
    except VerificationError as error:
        raise TimeStampError(f"its signature does not hold: {error}") from error
    except ValueError as error:
        raise TimeStampError(f"it is not a time stamp: {error}"[:200]) from error


def _checked_time(response: TimeStampResponse, digest: bytes, nonce: int | None) -> datetime:
    info = response.tst_info
    imprint = info.message_imprint
    if imprint.hash_algorithm.dotted_string != _SHA256 or imprint.message != digest:
        raise TimeStampError("it stamps something else: its imprint differs")
    if nonce is not None and info.nonce != nonce:
        raise TimeStampError("it answers another request: its nonce differs")
    if settings.TSA_CA:
        VerifierBuilder(roots=settings.TSA_CA).build().verify(response, digest)
    return info.gen_time


def _stamped(number: int, hash: str) -> bytes:
    return f"{number}:{hash}".encode()


def problems() -> Iterator[tuple[int, str]]:
    """What is wrong with the stored time stamps, each with the row of the trail that it names."""
    for stamps in _pages():
        numbers = [each.number for each in stamps]
        entries = AuditEntry.objects.filter(number__in=numbers).values_list("number", "hash")
        hashes = dict(entries)
        for stamp in stamps:
            if stamp.number not in hashes:
                yield stamp.number, "a time stamp names this row, which is missing"
            elif hashes[stamp.number] != stamp.hash:
                yield stamp.number, f"differs from what was time-stamped at {stamp.at.isoformat()}"
            try:
                at = check(bytes(stamp.answer), stamp.number, stamp.hash)
            except TimeStampError as error:
                yield stamp.number, f"its time stamp is not valid: {error}"
                continue
            if at != stamp.at:
                yield stamp.number, f"its time stamp is of {at.isoformat()}; the table has another"


def _pages() -> Iterator[list[AuditTimeStamp]]:
    last = 0
    while page := list(AuditTimeStamp.objects.filter(id__gt=last).order_by("id")[:_PAGE]):
        yield page
        last = page[-1].pk


@dataclass(frozen=True)
class Summary:
    """How many heads are stamped, which one last and when, and whether signatures are verified."""

    count: int
    number: int
    at: datetime | None
    signatures: bool

    def __str__(self) -> str:
        if self.at is None:
            return "no time stamps"
        text = f"{self.count} time stamps, the last of row {self.number} at {self.at.isoformat()}"
        if self.signatures:
            return text
        return f"{text}; signatures not verified: SWITCHGEAR_TSA_CA is empty"


def summary() -> Summary:
    """What is stored."""
    last = AuditTimeStamp.objects.order_by("-id").first()
    count, signatures = AuditTimeStamp.objects.count(), bool(settings.TSA_CA)
    if last is None:
        return Summary(0, 0, None, signatures)
    return Summary(count, last.number, last.at, signatures)
