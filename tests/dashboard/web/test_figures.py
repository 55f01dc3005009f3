"""Template filters for figures and names."""

from __future__ import annotations

from dashboard.web.templatetags.figures import short_name


def test_a_short_name_is_shown_whole_and_isolated() -> None:
    assert short_name("posts") == "<bdi>posts</bdi>"


def test_a_long_name_keeps_its_end_and_is_whole_on_hover() -> None:
    found = short_name("payments-ledger-eu-west-1a")
    assert 'title="payments-ledger-eu-west-1a"' in found
    assert '<span class="head">payments-ledger-eu</span>' in found
    assert '<span class="tail">-west-1a</span>' in found


def test_markup_in_a_name_is_text() -> None:
    found = short_name("<img src=x onerror=alert(1)>")
    assert "<img" not in found
    assert "&lt;img src=x onerror=a" in found
