"""States are told apart with every kind of colour vision, in both themes; and never by colour
alone, so that each has its own shape and word too."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import pytest

from dashboard.web.templatetags.figures import STATE_WORDS
from tests.static.colour import VISIONS, contrast, difference, light, mixed, simulated, tokens

ROOT = Path(__file__).resolve().parents[2]
THEMES = ("light", "dark")
TINT = {"light": 0.08, "dark": 0.12}
# Two are just noticeably different side by side; this is for a glance across a room.
APART = 7.0


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("vision", VISIONS)
def test_any_two_states_differ_at_a_glance(theme: str, vision: str) -> None:
    colours = tokens(theme)
    states = {each: simulated(light(colours[f"state-{each}"]), vision) for each in STATE_WORDS}
    close = {
        pair: apart
        for pair in combinations(states, 2)
        if (apart := difference(states[pair[0]], states[pair[1]])) < APART
    }
    assert not close


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("state", STATE_WORDS)
def test_a_states_word_is_legible_on_every_ground(theme: str, vision: str, state: str) -> None:
    colours = tokens(theme)
    word = light(colours[f"state-{state}"])
    for ground in ("panel", "ground", "raised"):
        plain = light(colours[ground])
        for under in (plain, mixed(word, plain, TINT[theme])):
            assert contrast(simulated(word, vision), simulated(under, vision)) >= 4.5, ground


@pytest.mark.parametrize("theme", THEMES)
def test_words_and_edges_are_legible(theme: str) -> None:
    colours = {name: light(hex) for name, hex in tokens(theme).items()}
    for ground in ("panel", "ground", "raised"):
        assert contrast(colours["ink"], colours[ground]) >= 7
        assert contrast(colours["muted"], colours[ground]) >= 4.5
        assert contrast(colours["accent"], colours[ground]) >= 4.5
        assert contrast(colours["edge"], colours[ground]) >= 3
    assert contrast(colours["on-accent"], colours["accent"]) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
def test_on_a_tint_everything_stays_legible(theme: str) -> None:
    colours = {name: light(hex) for name, hex in tokens(theme).items()}
    for state in STATE_WORDS:
        under = mixed(colours[f"state-{state}"], colours["panel"], TINT[theme])
        assert contrast(colours["ink"], under) >= 7
        assert contrast(colours["muted"], under) >= 4.5, state
        # The share of errors is red on the tint of whatever state.
        assert contrast(colours["state-open"], under) >= 4.5, state


def test_the_tints_are_those_of_the_stylesheet() -> None:
    text = (ROOT / "static/css/tokens.css").read_text()
    shares = re.search(r"--tint: light-dark\(.*?(\d+)%.*?(\d+)%", text, re.S)
    assert shares
    assert [int(each) / 100 for each in shares.groups()] == [TINT["light"], TINT["dark"]]


def test_every_state_has_a_shape_of_its_own() -> None:
    icons = (ROOT / "templates/components/icons.html").read_text()
    shapes = dict(re.findall(r'<symbol id="i-(\w+)"[^>]*>(.*?)</symbol>', icons))
    drawn = [shapes[state] for state in STATE_WORDS]
    assert len(set(drawn)) == len(STATE_WORDS)
