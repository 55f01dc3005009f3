"""Reports that come twice, late, over two connections, or after a long silence are counted once.

What every one of these asserts besides is in the fixture `shape`.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.sync.client import ClientConnection, connect

from breakers.agent.config import AgentConfig
from breakers.agent.socket_link import Heard, SocketLink
from breakers.protocol import messages as wire
from breakers.protocol.codec import MSGPACK
from tests.breakers.agent.scripted import Talk
from tests.examples.running import eventually
from tests.production_shape import SERVICE, TOKEN, ProductionStack


def test_reports_come_again_over_two_connections_at_once(shape: ProductionStack) -> None:
    """An agent whose old connection is not quite dead: what it had sent arrives after the same has
    come over the new one, through the other web process."""
    with socket(shape.urls[0]) as old, socket(shape.urls[1]) as new:
        for seq in (1, 2, 3):
            old.send(report(seq, success=seq))
        for seq in (1, 2, 3, 3, 4, 5):
            new.send(report(seq, success=seq))
        for seq in (2, 3, 4):
            old.send(report(seq, success=seq))
        until_received(new, 5)
        until_received(old, 4)
        assert counted(shape, "twice") == 1 + 2 + 3 + 4 + 5
        for seq in (1, 5, 6):
            old.send(report(seq, success=100))
        until_received(old, 6)
    assert counted(shape, "twice") == 15 + 100


def test_reports_overtake_each_other(shape: ProductionStack) -> None:
    """Each that is confirmed is counted, whatever came before it."""
    with socket(shape.urls[0]) as opened:
        for seq in (1001, 1004, 1002, 1003, 1002, 1006, 1001, 1005):
            opened.send(report(seq, success=1))
        until_received(opened, 1005)
        eventually(lambda: counted(shape, "twice") == 15 + 100 + 6, 10)


def test_a_clock_that_is_an_hour_off_moves_nothing(shape: ProductionStack) -> None:
    """Half of the callers live an hour ahead; yet no transition and no count lies elsewhere than
    the others'."""
    shape.force("posts", "forced_closed")
    shape.until_true(posts="forced_closed")
    shape.lift("posts")
    ahead = shape.callers[1].names
    at = shape.python(
        "from dashboard.history.models import Transition\n"
        f"rows = Transition.objects.filter(service='{SERVICE}', breaker='posts')\n"
        "print(json.dumps(list(rows.values_list('instance', 'at'))))"
    )
    assert ahead <= {instance for instance, _ in at}
    assert all(abs(time.time() - when) < 900 for _, when in at)


def test_ten_minutes_offline(shape: ProductionStack) -> None:
    """An agent that collects for ten minutes by its own clock and then finds the dashboard: all is
    counted, and lies where it happened."""
    talk = Talk(instance="offline")
    away = talk.breaker("away")
    for _ in range(600):
        away.call(int)
        talk.second()
    heard: queue.Queue[Heard | None] = queue.Queue()
    link = SocketLink(AgentConfig(base=shape.agents_url, token=TOKEN, service=SERVICE), heard)
    try:
        talk.conversation.begin(link)
        while len(talk.outbox):
            answer = heard.get(timeout=30)
            assert answer is not None
            assert not isinstance(answer[1], Exception)
            talk.conversation.hear(answer[1])
    finally:
        link.close()
    assert counted(shape, "away") == 600
    starts = shape.python(
        "from dashboard.history.models import Rollup\n"
        f"rows = Rollup.objects.filter(service='{SERVICE}', breaker='away', success__gt=0)\n"
        "print(json.dumps(sorted(rows.values_list('start', flat=True))))"
    )
    assert len(starts) >= 55
    assert 580 <= starts[-1] - starts[0] <= 620


# -- Speaking without an agent -------------------------------------------------------------------


@contextmanager
def socket(url: str) -> Iterator[ClientConnection]:
    with connect(
        url.replace("http", "ws", 1) + "/agent/v1",
        additional_headers={"Authorization": f"Bearer {TOKEN}"},
        subprotocols=[MSGPACK.subprotocol],  # type: ignore[list-item]
    ) as opened:
        yield opened


def report(seq: int, **counts: int) -> bytes:
    breaker = wire.BreakerReport("twice", "closed", counts=wire.Counts(**counts))
    instance = wire.Instance("raw")
    return MSGPACK.encode(wire.Report(SERVICE, instance, "boot", seq, 0.5, [breaker]))


def until_received(opened: ClientConnection, seq: int) -> None:
    def look() -> bool:
        said = MSGPACK.from_server(opened.recv(timeout=10, decode=False))
        return isinstance(said, wire.Received) and said.seq >= seq

    eventually(look, 10)


def counted(shape: ProductionStack, breaker: str) -> Any:
    return shape.python(
        "from dashboard.history.models import Rollup\n"
        f"rows = Rollup.objects.filter(service='{SERVICE}', breaker='{breaker}')\n"
        "print(json.dumps(sum(rows.values_list('success', flat=True))))"
    )
