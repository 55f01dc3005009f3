"""Recorded calls on the breaker's page, and the act that orders a recording."""

from __future__ import annotations

import time

import pytest
from django.test import Client

from breakers.protocol import messages as wire
from dashboard.access.models import AuditEntry, Person
from dashboard.alerts.services import add_marker
from dashboard.control.models import RecordingOrder
from dashboard.history import recordings
from dashboard.policies.models import BreakerPolicy

pytestmark = pytest.mark.usefixtures("static_files", "posts")
PAGE = "/services/shop/breakers/posts"


@pytest.fixture
def posts(db: None) -> None:
    """The shop has reported a breaker named posts."""
    BreakerPolicy.objects.create(service="shop", breaker="posts", declared={"timeout": 0.5})


@pytest.fixture
def client(operator: Person) -> Client:
    client = Client()
    client.force_login(operator)
    return client


def trip() -> None:
    message = wire.Recording(
        service="shop",
        instance="web-1",
        boot="b1",
        breaker="posts",
        reason="trip",
        id="trip-4",
        age_s=1.0,
        offset_us=[-900_000, -600_000, -300_000, -200_000],
        outcome=[0, 0, 1, 2],
        latency_us=[20_000, 31_500, 90_000, 200_000],
        attempt=[1, 1, 1, 2],
        cause="2 failures in a row",
    )
    recordings.store("shop", message, time.time())


def test_the_page_shows_the_calls_that_opened_it(client: Client) -> None:
    assert "No trip was recorded yet" in client.get(PAGE).content.decode()
    trip()
    page = client.get(PAGE).content.decode()
    assert "web-1 opened: 2 failures in a row. Its last 4 calls: 2 success" in page
    assert page[page.index('id="trip"') : page.index('id="recordings"')].count("<circle ") == 4
    assert page.index("200.0 ms") < page.index("31.5 ms", page.index("trip-calls"))
    assert "style=" not in page[page.index('id="trip"') : page.index('id="recordings"')]


def test_a_deploy_meanwhile_is_a_line_in_the_chart(client: Client) -> None:
    trip()
    row = recordings.trips("shop", "posts", 1)[0]
    add_marker(None, text="v124 <b>goes</b> out", service="shop", at=row.start - 0.3)
    add_marker(None, text="v123 went out", service="shop", at=row.start - 60)
    page = client.get(PAGE).content.decode()
    chart = page[page.index('class="trip-chart"') : page.index('id="trip-calls"')]
    assert "v124 &lt;b&gt;goes&lt;/b&gt; out" in chart
    assert chart.count("marker-line") == 1


def test_an_operator_records_a_breaker_and_stops(client: Client) -> None:
    assert "Record this breaker for 10 minutes" in client.get(PAGE).content.decode()
    assert client.post(PAGE + "/record")["Location"] == PAGE
    assert AuditEntry.objects.get().act == "recording"
    assert "Stop recording" in client.get(PAGE).content.decode()
    twice = client.post(PAGE + "/record")
    assert twice.status_code == 422
    assert "posts is being recorded already" in twice.content.decode()
    client.post(PAGE + "/record", {"stop": RecordingOrder.objects.get().id})
    assert "Record this breaker" in client.get(PAGE).content.decode()


def test_a_viewer_may_not(viewer: Person) -> None:
    client = Client()
    client.force_login(viewer)
    assert client.post(PAGE + "/record").status_code == 403
    assert "Record this breaker" not in client.get(PAGE).content.decode()
    assert not RecordingOrder.objects.exists()


def test_all_breakers_of_a_service_are_recorded_from_its_page(client: Client) -> None:
    assert client.post("/services/shop/breakers/*/record")["Location"] == "/services/shop"
    assert RecordingOrder.objects.get().breaker == "*"
    assert "Stop recording" in client.get(PAGE).content.decode()
