"""Recordings at the agents' API: checked by field, charged, stored, never in the way of reports."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from breakers import CircuitBreaker, CircuitBreakerOpen, Registry
from breakers.agent import start
from breakers.protocol import messages as wire
from breakers.protocol.codec import CODECS, JSON, MSGPACK, Codec
from dashboard.access.service_tokens import Grant
from dashboard.api.agents.budgets import LIMITS, RECORDED, Limit, ServiceBudgets
from dashboard.api.agents.inbox import MessageInbox
from dashboard.api.agents.message_intake import take
from dashboard.bus.memory import MemoryBus
from dashboard.observability.metrics import counters
from tests.dashboard.api.agents.test_inbox import Capacity
from tests.dashboard.child_process import Dashboard
from tests.examples.running import eventually

# Storing goes through the database's thread, whatever stores.
pytestmark = pytest.mark.django_db


def message(instance: str = "web-1", calls: int = 10) -> wire.Recording:
    return wire.Recording(
        service="shop",
        instance=instance,
        boot="b1",
        breaker="posts",
        reason="asked",
        id="o1",
        age_s=0.0,
        offset_us=list(range(calls)),
        outcome=[0] * calls,
        latency_us=[1] * calls,
        attempt=[1] * calls,
    )


class Store:
    def __init__(self, fails: bool = False) -> None:
        self.kept: list[tuple[str, wire.Recording]] = []
        self.fails = fails

    def __call__(self, service: str, recording: wire.Recording) -> None:
        if self.fails:
            raise OSError("the disk is full")
        self.kept.append((service, recording))


def inbox(store: Store, budgets: ServiceBudgets | None = None) -> MessageInbox:
    return MessageInbox(MemoryBus(), lambda acks: None, Capacity(), budgets, store)


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
def test_a_bad_recording_is_refused_by_field(codec: Codec) -> None:
    bad = message()
    bad.latency_us = [1]
    with pytest.raises(wire.WireError) as caught:
        take(codec, codec.encode(bad), Grant("shop"))
    assert caught.value.refused.field == "$.latency_us"
    bad = message()
    bad.attempt[3] = 0
    with pytest.raises(wire.WireError) as caught:
        take(codec, codec.encode(bad), Grant("shop"))
    assert caught.value.refused.field == "$.attempt[3]"
    with pytest.raises(wire.WireError) as caught:
        take(codec, codec.encode(message(calls=wire.MAX_RECORDED + 1)), Grant("shop"))
    assert caught.value.refused.field == "$.offset_us"
    with pytest.raises(wire.WireError) as caught:
        take(codec, codec.encode(message()), Grant("other"))
    assert caught.value.refused.field == "$.service"


async def test_a_recording_is_stored_and_safe_at_once() -> None:
    store = Store()
    recording, packed = take(JSON, JSON.encode(message()), Grant("shop"))
    done = await inbox(store).append("shop", recording, packed)
    assert done.done()
    assert store.kept == [("shop", message())]


async def test_a_stranger_and_what_is_over_the_budget_are_dropped() -> None:
    store = Store()
    limits = {**LIMITS, RECORDED: Limit("$.offset_us", "recorded calls", 1.0, 15.0)}
    box = inbox(store, ServiceBudgets(limits, now=lambda: 0.0))
    before = counters.over_budget["shop", RECORDED]
    for instance in ("stranger", "web-1", "web-1", "web-1"):
        await box.append("shop", message(instance), MSGPACK.encode(message(instance)))
    await box.append("other", message(), MSGPACK.encode(message()))
    assert [service for service, _ in store.kept] == ["shop", "shop", "other"]
    assert counters.over_budget["shop", RECORDED] == before + 1


async def test_a_recording_that_cannot_be_stored_ends_no_connection() -> None:
    done = await inbox(Store(fails=True)).append("shop", message(), MSGPACK.encode(message()))
    assert done.done()


@pytest.mark.parametrize("transport", ["websocket", "http"])
def test_a_process_sends_the_calls_that_opened_its_breaker_and_what_was_ordered(
    dashboard: Dashboard, transport: str
) -> None:
    service = f"recorded-{transport}"
    token = dashboard.token(service)
    registry = Registry()
    posts = CircuitBreaker(name="posts", registry=registry, failure_threshold=2)
    order = dashboard.python(
        "from dashboard.access.models import Person\n"
        "from dashboard.control import recordings\n"
        f"person = Person.objects.create_superuser('by-{transport}')\n"
        f"print(json.dumps(recordings.record(person, {service!r}, 'posts').id))"
    )
    agent = start(
        url=dashboard.url, token=token, service=service, registry=registry, transport=transport
    )
    try:
        eventually(lambda: posts._records_refusals, 15)
        posts.call(len, "four")
        for _ in range(3):
            with suppress(ValueError, CircuitBreakerOpen):
                posts.call(int, "four")
        dashboard.python(
            "from dashboard.access.models import Person\n"
            "from dashboard.control import recordings\n"
            f"person = Person.objects.get(username='by-{transport}')\n"
            f"print(json.dumps(recordings.stop(person, {service!r}, {order!r})))"
        )
        eventually(lambda: not posts._records_refusals, 20)
        wanted = [["asked", [0, 1, 1, 5]], ["trip", [0, 1, 1]]]
        eventually(lambda: stored(dashboard, service) == wanted, 10)
    finally:
        agent.stop()


def stored(dashboard: Dashboard, service: str) -> list[list[Any]]:
    found: list[list[Any]] = dashboard.python(
        "from breakers.protocol.recordings import OUTCOMES\n"
        "from dashboard.history import recordings\n"
        "from dashboard.history.models import Recording\n"
        f"rows = Recording.objects.filter(service={service!r})\n"
        "print(json.dumps(sorted([row.reason, [OUTCOMES.index(call.outcome)"
        " for call in recordings.calls_of(row)]] for row in rows)))"
    )
    return found
