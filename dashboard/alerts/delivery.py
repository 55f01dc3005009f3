"""Delivers the messages of the outbox, each through the breaker of its channel.

A message is claimed by compare-and-set before it is sent, and any number of processes may deliver.
Who dies with a claim loses it after `CLAIM_S`; the message is then sent again under the same key.
A channel that hangs holds at most `PER_CHANNEL` of the sending threads: others do not wait for it.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Collection
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Final

from django.db import transaction
from django.db.models import F, QuerySet

from breakers import BreakerError, CircuitBreaker, CircuitBreakerOpen, Registry
from dashboard.alerts.channels import deliver
from dashboard.alerts.models import Channel, OutboxMessage
from dashboard.common.background_job import BackgroundJob
from dashboard.common.guarded_http import DeliveryError

logger = logging.getLogger("switchgear.alerts")

# After so many failures a message is given up; with the pauses below that takes about a day.
MAX_ATTEMPTS: Final = 40
MAX_PAUSE_S: Final = 3600.0
# Longer than any delivery: another process takes the message over then.
CLAIM_S: Final = 60.0
# Messages of one round.
BATCH: Final = 200
PARALLEL: Final = 8
PER_CHANNEL: Final = 2
# What has become due meanwhile is looked for so often while others are being sent.
_LOOK_S: Final = 0.5
# A message is from the future if it was created so long after now: the clock has stepped back.
_STEP_S: Final = 2.0

_registry = Registry(max_breakers=2000)
background: Final = BackgroundJob("alerts-delivery", lambda: deliver_due())


def start() -> bool:
    """Deliver what is due, in the background. Returns whether it was started."""
    return background.start()


def deliver_due(now: float | None = None) -> int:
    """Deliver the messages that are due, and those that become due meanwhile. Returns how many were
    attempted."""
    began = time.monotonic()
    first = time.time() if now is None else now

    def clock() -> float:
        return first + (time.monotonic() - began if now is None else 0.0)

    _mend_clock(first)
    if not _due(first, ()).exists():
        return 0
    attempted = 0
    running: dict[Future[Exception | None], OutboxMessage] = {}
    with ThreadPoolExecutor(PARALLEL, "alerts") as pool:
        while True:
            for message in _claim(list(running.values()), clock(), BATCH - attempted):
                attempted += 1
                running[pool.submit(_send, message)] = message
            if not running:
                return attempted
            for done in wait(running, _LOOK_S, FIRST_COMPLETED).done:
                _record(running.pop(done), done.result(), clock())


def _due(now: float, without: Collection[int]) -> QuerySet[OutboxMessage]:
    rows = OutboxMessage.objects.filter(finished=None, due__lte=now, claimed_until__lt=now)
    return rows.exclude(channel__in=without)


def _claim(running: Collection[OutboxMessage], now: float, most: int) -> list[OutboxMessage]:
    """Claim messages for the threads that are free, a few of each channel."""
    busy = Counter(each.channel_id for each in running)
    claimed: list[OutboxMessage] = []
    while len(running) + len(claimed) < PARALLEL and len(claimed) < most:
        full = [channel for channel, count in busy.items() if count >= PER_CHANNEL]
        due = _due(now, full).select_related("channel", "incident").order_by("due", "id")
        message = due.first()
        if message is None:
            break
        won = OutboxMessage.objects.filter(
            pk=message.pk, finished=None, claimed_until=message.claimed_until
        ).update(claimed_until=now + CLAIM_S)
        if won:
            busy[message.channel_id] += 1
            claimed.append(message)
    return claimed


def _mend_clock(now: float) -> None:
    """The clock has stepped back: what was queued or claimed before would wait for the old time."""
    ahead = OutboxMessage.objects.filter(finished=None)
    ahead.filter(created__gt=now + _STEP_S).update(
        due=F("due") - (F("created") - now), created=now, claimed_until=0.0
    )
    ahead.filter(claimed_until__gt=now + 2 * CLAIM_S).update(claimed_until=0.0)


def _send(message: OutboxMessage) -> Exception | None:
    """Deliver one message through the channel's breaker. Needs no database."""
    if _is_moot(message):
        return None
    breaker = _breaker(message.channel_id)
    try:
        breaker.call(deliver, message)
    except (DeliveryError, BreakerError) as error:
        return error
    except Exception as error:  # a library's defect must not stop the other messages
        logger.exception("delivery of %s failed", message.key)
        return error
    return None


def _breaker(channel_id: int) -> CircuitBreaker:
    name = f"channel:{channel_id}"
    return _registry.get_or_create(
        name,
        lambda: CircuitBreaker(
            name=name, failure_threshold=3, timeout_duration=15, success_threshold=1, registry=None
        ),
    )


def _is_moot(message: OutboxMessage) -> bool:
    incident = message.incident
    return bool(
        message.only_unacknowledged
        and incident is not None
        and (incident.acknowledged is not None or incident.ended is not None)
    )


@transaction.atomic
def _record(message: OutboxMessage, error: Exception | None, now: float) -> None:
    row = OutboxMessage.objects.filter(pk=message.pk, finished=None)
    if error is None:
        outcome = "not needed" if _is_moot(message) else "delivered"
        row.update(finished=now, outcome=outcome, error="", attempts=F("attempts") + 1)
        if outcome == "delivered":
            Channel.objects.filter(pk=message.channel_id).exclude(failing_since=None).update(
                failing_since=None, last_error=""
            )
        return
    text = str(error)[:300]
    refused = isinstance(error, CircuitBreakerOpen)
    attempts = message.attempts + (0 if refused else 1)
    pause = min(MAX_PAUSE_S, 2.0 ** min(attempts, 12))
    if isinstance(error, CircuitBreakerOpen):
        pause = min(pause, max(1.0, error.retry_after_s or 1.0))
    given_up = attempts >= MAX_ATTEMPTS
    row.update(
        attempts=attempts, error=text, due=now + pause, claimed_until=0.0,
        finished=now if given_up else None, outcome="given up" if given_up else "",
    )  # fmt: skip
    if not refused:
        Channel.objects.filter(pk=message.channel_id, failing_since=None).update(failing_since=now)
        Channel.objects.filter(pk=message.channel_id).update(last_error=text)
