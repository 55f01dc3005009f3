"""A page shows and reads times in one zone, which it names."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.test import Client
from django.utils import timezone

from dashboard.access.models import Person
from dashboard.web.viewer_zone import zone_label, zone_of


@pytest.mark.parametrize(
    ("cookie", "zone"),
    [
        (None, "UTC"),
        ("", "UTC"),
        ("Europe/Berlin", "Europe/Berlin"),
        ("Europe%2FBerlin", "Europe/Berlin"),
        ("Europe/Atlantis", "UTC"),
        ("../../etc/passwd", "UTC"),
        ("%00", "UTC"),
        ("x" * 5000, "UTC"),
    ],
)
def test_an_unknown_zone_is_utc(cookie: str | None, zone: str) -> None:
    assert zone_of(cookie).key == zone


@pytest.mark.parametrize(
    ("zone", "label"),
    [
        ("UTC", "UTC"),
        ("Europe/Berlin", "Europe/Berlin (UTC+1)"),
        ("America/New_York", "America/New_York (UTC-5)"),
        ("Asia/Kolkata", "Asia/Kolkata (UTC+5:30)"),
    ],
)
def test_the_zone_is_named_with_its_offset(zone: str, label: str) -> None:
    with timezone.override(zone_of(zone)):
        assert zone_label(datetime(2026, 11, 25, tzinfo=UTC)) == label


@pytest.mark.usefixtures("static_files")
def test_every_time_of_a_page_is_in_the_zone_that_the_page_names(
    client: Client, viewer: Person
) -> None:
    client.force_login(viewer)
    client.cookies["zone"] = "Asia/Kolkata"
    page = client.get("/timeline").content.decode()
    assert 'data-zone="Asia/Kolkata"' in page
    assert "Times in Asia/Kolkata (UTC+5:30)" in page
    assert "UTC)" not in page.replace("(UTC+5:30)", "")


@pytest.mark.usefixtures("static_files")
def test_a_time_that_is_typed_is_read_in_the_same_zone(client: Client, viewer: Person) -> None:
    client.force_login(viewer)
    client.cookies["zone"] = "Asia/Kolkata"
    query = {"range": "custom", "since": "2026-11-25T05:30", "until": "2026-11-25T06:30"}
    answer = client.get("/timeline/events", query)
    assert answer.json()["from"] == datetime(2026, 11, 25, tzinfo=UTC).timestamp()
