"""Messages reach real receivers, and only those that may be reached."""

from __future__ import annotations

import base64
import hmac
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest

from dashboard.alerts import delivery
from dashboard.alerts.channels import deliver, signature
from dashboard.alerts.models import Channel, OutboxMessage
from dashboard.common import guarded_http
from dashboard.common.guarded_http import DeliveryError, UnsafeAddressError
from tests.dashboard.alerts.receivers import Receiver, smtp

pytestmark = pytest.mark.django_db
NOW = 1_800_000_000.0


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def private(settings: Any) -> None:
    settings.ALERTS_ALLOW_PRIVATE = True


def message(url: str, kind: str = "webhook") -> OutboxMessage:
    channel = Channel.objects.create(name=url[:80], kind=kind, url=url, secret="s3cret")
    return OutboxMessage.objects.create(
        key=f"k{time.monotonic_ns()}", channel=channel, kind="opened", title="posts failing",
        body="Since 02:46.", created=NOW, due=NOW,
    )  # fmt: skip


@pytest.mark.usefixtures("private")
class TestDelivery:
    def test_a_webhook_is_signed_and_named_for_deduplication(self, receiver: Receiver) -> None:
        sent = message(receiver.url)
        deliver(sent)
        ((headers, body),) = receiver.requests
        assert msgspec.json.decode(body)["title"] == "posts failing"
        assert headers["Idempotency-Key"] == sent.key
        assert headers["webhook-id"] == sent.key
        signed = f"{sent.key}.{headers['webhook-timestamp']}.".encode() + body
        mac = base64.b64encode(hmac.new(b"s3cret", signed, "sha256").digest()).decode()
        assert headers["webhook-signature"] == f"v1,{mac}"

    def test_the_signature_is_that_of_the_published_example(self) -> None:
        """The vector of the Standard Webhooks libraries."""
        secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        body = b'{"test": 2432232314}'
        made = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body)
        assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

    def test_a_secret_that_is_not_base64_is_named(self) -> None:
        with pytest.raises(DeliveryError, match="whsec_ is not base64"):
            signature("whsec_*", "id", "1", b"")

    def test_a_mail_arrives(self) -> None:
        with smtp() as (mailbox, port):
            url = f"mailto://127.0.0.1:{port}?from=alerts@example.com&to=oncall@example.com"
            deliver(message(url, "apprise"))
        assert "posts failing" in mailbox.mails[0]

    def test_an_error_of_the_receiver_is_told(self, receiver: Receiver) -> None:
        receiver.status = 500
        with pytest.raises(DeliveryError, match="answered 500"):
            deliver(message(receiver.url))

    def test_a_redirect_is_not_followed(self, receiver: Receiver) -> None:
        receiver.status, receiver.location = 302, receiver.url
        with pytest.raises(DeliveryError, match="answered 302"):
            deliver(message(receiver.url))
        assert len(receiver.requests) == 1

    def test_a_receiver_that_hangs_ends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(guarded_http, "TIMEOUT", httpx.Timeout(0.2))
        with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(DeliveryError):
            deliver(message(f"http://127.0.0.1:{silent.getsockname()[1]}/"))

    def test_a_channel_that_was_down_gets_its_message_later(self, receiver: Receiver) -> None:
        receiver.status = 500
        sent = message(receiver.url)
        delivery.deliver_due(NOW)
        assert Channel.objects.get().failing_since == NOW
        receiver.status = 200
        delivery.deliver_due(NOW + 3600)
        sent.refresh_from_db()
        assert sent.outcome == "delivered"
        assert Channel.objects.get().failing_since is None


class TestAddresses:
    @pytest.mark.parametrize(
        "url", ["http://127.0.0.1/", "http://10.0.0.7/", "http://[::1]/", "http://169.254.169.254/",
                "http://localhost/"],
    )  # fmt: skip
    def test_an_address_inside_the_network_is_refused(self, url: str) -> None:
        with pytest.raises(UnsafeAddressError, match="inside the network"):
            deliver(message(url))

    def test_apprise_is_held_to_the_same_rule(self) -> None:
        with pytest.raises(UnsafeAddressError):
            deliver(message("json://127.0.0.1/", "apprise"))

    def test_a_url_that_apprise_does_not_know_is_refused(self) -> None:
        with pytest.raises(DeliveryError, match="does not understand"):
            deliver(message("nonsense://x", "apprise"))
