"""Messages are delivered once where that can be, and never lost: channels that hang, processes that
die, clocks that step."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboard.alerts import channels, delivery
from dashboard.alerts.channels import deliver
from dashboard.alerts.models import Channel, OutboxMessage
from dashboard.common.guarded_http import DeliveryError, UnsafeAddressError
from tests.dashboard.alerts.receivers import Receiver
from tests.dashboard.dashboard_process import PythonShell
from tests.examples.running import eventually

NOW = 1_800_000_000.0


@pytest.fixture(autouse=True)
def private(settings: Any) -> None:
    settings.ALERTS_ALLOW_PRIVATE = True


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def channel(name: str, url: str, kind: str = "webhook") -> Channel:
    return Channel.objects.create(name=name, kind=kind, url=url, secret="s3cret")


def queue(to: Channel, count: int = 1, at: float = NOW) -> list[OutboxMessage]:
    first = OutboxMessage.objects.count()
    return [
        OutboxMessage.objects.create(
            key=f"k{first + n}", channel=to, kind="opened", title="posts failing", body="Now.",
            created=at, due=at,
        )
        for n in range(count)
    ]  # fmt: skip


class Dripping:
    """A server that answers one byte of a header each tenth of a second until it is released."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        try:
            while True:
                accepted, _ = self._listening.accept()
                threading.Thread(target=self._drip, args=(accepted,), daemon=True).start()
        except OSError:
            return

    def _drip(self, accepted: socket.socket) -> None:
        with accepted:
            try:
                accepted.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
                while not self.released.wait(0.1):
                    accepted.sendall(b"x")
            except OSError:
                return

    def close(self) -> None:
        self.released.set()
        self._listening.close()


@pytest.fixture
def dripping() -> Iterator[Dripping]:
    made = Dripping()
    yield made
    made.close()


@pytest.mark.django_db
class TestHanging:
    def test_an_answer_that_drips_ends_at_the_deadline(
        self, dripping: Dripping, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(channels, "DEADLINE_S", 0.5)
        (sent,) = queue(channel("slow", f"http://127.0.0.1:{dripping.port}/"))
        with pytest.raises(DeliveryError, match=r"did not answer within 0.5 s"):
            deliver(sent)

    def test_a_library_that_hangs_is_left_behind_once(
        self, dripping: Dripping, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(channels, "DEADLINE_S", 0.3)
        one, two = queue(channel("slow", f"json://127.0.0.1:{dripping.port}/", "apprise"), 2)
        with pytest.raises(DeliveryError, match=r"did not answer within 0.3 s"):
            deliver(one)
        with pytest.raises(DeliveryError, match="still waits for an answer"):
            deliver(two)

    def test_other_channels_do_not_wait_for_one_that_hangs(
        self, receiver: Receiver, dripping: Dripping, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(channels, "DEADLINE_S", 60.0)
        slow = channel("slow", f"http://127.0.0.1:{dripping.port}/")
        queue(slow, 20)
        good = queue(channel("good", receiver.url), 12)
        # It hangs up when the others have been sent: if they waited for it, the deadline would end
        # it first.
        receiver.after = lambda: len(receiver.requests) < len(good) or dripping.released.set()
        delivery.deliver_due(NOW)
        assert len(receiver.requests) == len(good)
        slow.refresh_from_db()
        assert slow.last_error
        assert "did not answer within" not in slow.last_error
        assert OutboxMessage.objects.filter(channel=slow, finished=None).count() == 20

    def test_a_channel_that_answers_500_is_left_alone_by_its_breaker(
        self, receiver: Receiver
    ) -> None:
        receiver.status = 500
        queue(channel("broken", receiver.url), 10)
        delivery.deliver_due(NOW)
        assert 3 <= len(receiver.requests) <= 3 + delivery.PER_CHANNEL
        receiver.status = 200
        for minute in range(30):
            delivery._registry.get("channel:" + str(Channel.objects.get().pk)).reset()
            delivery.deliver_due(NOW + 60 * minute)
        assert OutboxMessage.objects.filter(outcome="delivered").count() == 10
        assert Channel.objects.get().failing_since is None


@pytest.mark.django_db
class TestRedirects:
    @pytest.mark.parametrize("kind", ["webhook", "apprise"])
    def test_a_redirect_to_an_inside_address_is_not_followed(
        self, kind: str, receiver: Receiver
    ) -> None:
        inside = Receiver()
        try:
            receiver.status, receiver.location = 307, inside.url
            port = receiver.server.server_port
            url = {"webhook": receiver.url, "apprise": f"json://127.0.0.1:{port}/?redirect=yes"}
            with pytest.raises(DeliveryError):
                deliver(queue(channel("sly", url[kind], kind))[0])
            assert len(receiver.requests) == 1
            assert inside.requests == []
        finally:
            inside.close()

    def test_a_name_of_an_inside_address_is_refused(self, settings: Any) -> None:
        settings.ALERTS_ALLOW_PRIVATE = False
        with pytest.raises(UnsafeAddressError, match="inside the network"):
            deliver(queue(channel("sly", "http://localhost:1/"))[0])


@pytest.mark.django_db
class TestClock:
    def test_a_message_from_before_a_step_back_is_sent_at_once(self, receiver: Receiver) -> None:
        queue(channel("ops", receiver.url), at=NOW + 3600)
        delivery.deliver_due(NOW)
        assert len(receiver.requests) == 1

    def test_its_delay_stays_the_same(self, receiver: Receiver) -> None:
        (later,) = queue(channel("ops", receiver.url), at=NOW + 3600)
        later.due += 300
        later.save()
        assert delivery.deliver_due(NOW) == 0
        assert delivery.deliver_due(NOW + 299) == 0
        assert delivery.deliver_due(NOW + 300) == 1

    def test_a_claim_from_before_a_step_back_ends(self, receiver: Receiver) -> None:
        (claimed,) = queue(channel("ops", receiver.url))
        claimed.claimed_until = NOW + 7200
        claimed.save()
        assert delivery.deliver_due(NOW) == 1

    def test_a_step_forward_sends_nothing_twice(self, receiver: Receiver) -> None:
        queue(channel("ops", receiver.url), 3)
        delivery.deliver_due(NOW)
        delivery.deliver_due(NOW + 86_400)
        assert len(receiver.requests) == 3


SETUP = """
from django.core.management import call_command
from dashboard.alerts.models import Channel, OutboxMessage
call_command("migrate", verbosity=0)
to = Channel.objects.create(name="ops", kind="webhook", url={url!r}, secret="s")
for n in range({count}):
    OutboxMessage.objects.create(key=f"k{{n}}", channel=to, kind="opened", title="t", body="b",
                                 created={now}, due={now})
"""
DELIVER = """
from dashboard.alerts import delivery
print(json.dumps(delivery.deliver_due({now})))
"""
LEFT = """
from dashboard.alerts.models import OutboxMessage
print(json.dumps(OutboxMessage.objects.exclude(outcome="delivered").count()))
"""


def test_a_process_that_dies_while_it_sends_loses_nothing(
    tmp_path: Path, receiver: Receiver
) -> None:
    own = {
        "SWITCHGEAR_DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}",
        "SWITCHGEAR_SECRET_KEY": "for this test only, fifty characters or more of it",
        "SWITCHGEAR_ALERTS_ALLOW_PRIVATE": "1",
        "DJANGO_SETTINGS_MODULE": "dashboard.settings",
    }
    count = 12
    receiver.pause_s = 0.15
    first, second = PythonShell(own), PythonShell(own)
    try:
        first.run(SETUP.format(url=receiver.url, count=count, now=NOW))
        dying = threading.Thread(target=_ignoring, args=(first, DELIVER.format(now=NOW)))
        dying.start()
        eventually(lambda: len(receiver.requests) >= 5, 20)
        first.close()
        dying.join()
        in_flight = delivery.PER_CHANNEL
        # While its claims last, the others are sent.
        second.run(DELIVER.format(now=NOW + 1))
        assert int(second.run(LEFT)) <= in_flight
        second.run(DELIVER.format(now=NOW + 1 + delivery.CLAIM_S))
        assert int(second.run(LEFT)) == 0
    finally:
        first.close()
        second.close()
    keys = Counter(headers["Idempotency-Key"] for headers, _ in receiver.requests)
    assert keys.keys() == {f"k{n}" for n in range(count)}
    # Only what was being sent as the process died may come again, under the same key.
    assert sum(keys.values()) - count <= in_flight


def _ignoring(shell: PythonShell, code: str) -> None:
    try:
        shell.run(code)
    except ValueError:
        return  # It was killed meanwhile, and has answered nothing.


@pytest.mark.django_db(transaction=True)
def test_the_beat_does_not_wait_for_a_channel_that_hangs(
    dripping: Dripping, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "DEADLINE_S", 2.0)
    now = time.time()
    queue(channel("slow", f"http://127.0.0.1:{dripping.port}/"), at=now)
    # Both before the thread starts: two writers of SQLite in memory do not wait for each other.
    queue(channel("good", receiver.url), at=now)
    assert delivery.start()
    assert not delivery.start()
    eventually(lambda: len(receiver.requests) == 1, 5)
    assert delivery.background.join(30)
    assert OutboxMessage.objects.get(channel__name="slow").attempts == 1
