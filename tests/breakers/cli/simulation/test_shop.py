"""The measured run of the shop, and the simulation of the same scenario."""

from __future__ import annotations

import fnmatch
import tomllib
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from breakers import registry
from breakers.cli.simulation import shop
from examples.shop.behaviour import NORMAL
from examples.shop.profile_api import ProfileService
from examples.shop.watched import POLICY

ROOT = Path(shop.__file__).parents[3]


def test_the_recording_is_of_the_shop_as_it_is() -> None:
    """Whoever changes the shop's policy, latencies or retries measures again."""
    kept = shop.Recording.read()
    service = ProfileService({}, None)  # type: ignore[arg-type]
    for options in (service._users, service._posts, service._social):
        registry.remove(options.circuit_breaker.name)
    posts = service._posts
    assert kept.policy == POLICY
    assert (kept.latency.median, kept.latency.p99) == (NORMAL["posts"].median, NORMAL["posts"].p99)
    assert (kept.attempts, kept.retry_delay_s) == (posts.retries, posts.retry_delay)
    assert date.fromisoformat(kept.date) >= date(2026, 11, 26)
    assert len(kept.outages) >= 4


def test_a_recording_is_read_as_it_was_written(tmp_path: Path) -> None:
    kept = shop.Recording.read()
    kept.write(tmp_path / "again.json")
    assert shop.Recording.read(tmp_path / "again.json") == kept


def test_the_model_stays_within_a_tenth_of_what_the_shop_did() -> None:
    for seed in (1, 2, 3):
        found = shop.compare(shop.Recording.read(), seed)
        assert {name: pair.error for name, pair in found.items() if pair.error > 0.1} == {}


def test_the_error_is_computed_from_the_recording() -> None:
    kept = shop.Recording.read()
    twice = [
        replace(each, figures=replace(each.figures, attempts=2 * each.figures.attempts))
        for each in kept.outages
    ]
    true = shop.compare(kept, seed=1)["attempts"]
    false = shop.compare(replace(kept, outages=tuple(twice)), seed=1)["attempts"]
    assert false.model == true.model
    assert false.error == pytest.approx(abs(true.model - 2 * true.shop) / (2 * true.shop))


def test_a_figure_that_the_shop_did_not_have_is_wholly_wrong_in_the_model() -> None:
    assert shop.Comparison(0, 0).error == 0.0
    assert shop.Comparison(0, 3).error == 1.0
    assert shop.Comparison(10, 9).error == pytest.approx(0.1)


def test_the_recording_is_shipped_with_the_package() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = settings["package-data"]["breakers.cli.simulation"]
    assert any(fnmatch.fnmatch(shop.KEPT.name, each) for each in patterns)
