"""Times in scripts: every locale and zone, and the changes of clocks, in real Node."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.static import node

LOCALES = ["en-US", "en-GB", "de-DE", "ja-JP", "ar-EG", "hi-IN", "fa-IR", "zh-CN"]
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia", "Asia/Tehran"]
MIDNIGHT = datetime(2026, 11, 25, 0, 5, 33, tzinfo=UTC).timestamp()

SCRIPT = """
import * as times from "./static/js/times.js";
const { zone, locale, calls } = JSON.parse(process.argv[1]);
times.setZone(zone, locale);
console.log(JSON.stringify(calls.map(([name, ...args]) => times[name](...args))));
"""


def call(calls: list[list[Any]], zone: str = "UTC", locale: str = "en-US") -> list[Any]:
    done: list[Any] = node.run(SCRIPT, {"zone": zone, "locale": locale, "calls": calls})
    return done


def test_five_minutes_past_midnight_is_hour_nought() -> None:
    assert call([["clock", MIDNIGHT]]) == ["00:05:33"]
    assert call([["minute", MIDNIGHT]]) == ["00:05"]


@pytest.mark.parametrize("locale", LOCALES)
def test_no_locale_shows_an_hour_24_or_half_days(locale: str) -> None:
    for shown in call(
        [["clock", MIDNIGHT], ["minute", MIDNIGHT], ["full", MIDNIGHT]], "UTC", locale
    ):
        digits = "".join(str(int(each)) if each.isdigit() else each for each in shown)
        assert "24:" not in digits
        assert "AM" not in digits.upper().split()


@pytest.mark.parametrize("zone", ZONES)
def test_a_time_is_of_the_chosen_zone(zone: str) -> None:
    there = datetime.fromtimestamp(MIDNIGHT, ZoneInfo(zone))
    offset = there.utcoffset()
    assert offset is not None
    assert call([["clock", MIDNIGHT], ["offset", MIDNIGHT]], zone) == [
        there.strftime("%H:%M:%S"),
        offset.total_seconds(),
    ]


def test_a_moment_of_another_day_says_its_day() -> None:
    now = MIDNIGHT + 3600
    assert call([["moment", MIDNIGHT, now], ["moment", MIDNIGHT - 3600, now]]) == [
        "00:05:33",
        "Nov 24, 23:05:33",
    ]
    # In New York both are still the day before.
    assert call([["moment", MIDNIGHT - 3600, now]], "America/New_York") == ["18:05:33"]


def test_an_hour_that_occurs_twice_is_read_as_the_first() -> None:
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()
    shown = call([["wall", first], ["wall", first + 3600]], "Europe/Berlin")
    assert shown == ["2026-10-25T02:30:00.000", "2026-10-25T02:30:00.000"]
    assert call([["fromWall", shown[0]]], "Europe/Berlin") == [first]


def test_an_hour_that_is_skipped_is_read_as_if_the_clocks_had_not_changed() -> None:
    skipped = datetime(2026, 3, 29, 1, 30, tzinfo=UTC).timestamp()
    assert call([["fromWall", "2026-03-29T02:30:00"]], "Europe/Berlin") == [skipped]


@settings(max_examples=5, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    ats=st.lists(st.integers(1_600_000_000, 1_900_000_000), min_size=40, max_size=40),
)
def test_what_a_chart_shows_is_read_back_as_the_same_moment(zone: str, ats: list[int]) -> None:
    walls = call([["wall", at] for at in ats], zone)
    assert [
        datetime.fromtimestamp(at, ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M:%S.000") for at in ats
    ] == walls
    back = call([["fromWall", each] for each in walls], zone)
    assert all(read in {at, at - 3600, at - 1800} for read, at in zip(back, ats, strict=True))


def test_no_other_script_formats_a_time() -> None:
    for path in (node.ROOT / "static/js").glob("*.js"):
        if path.name not in {"times.js", "zone.js"}:
            text = path.read_text()
            assert "toLocaleTime" not in text, path
            assert "toLocaleDate" not in text, path
            assert "hour12" not in text, path
