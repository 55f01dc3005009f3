"""How the fleet is, in one line, in real Node."""

from __future__ import annotations

from typing import Any

import pytest

from tests.static import node

SCRIPT = """
import { headline } from "./static/js/headline.js";
console.log(JSON.stringify(headline(JSON.parse(process.argv[1]), 1).text));
"""


def view(state: str = "closed", rate: float = 10.0, error_pct: float = 0.0, **more: Any) -> Any:
    return {"state": state, "rate": rate, "error_pct": error_pct, "override": None, **more}


@pytest.mark.parametrize(
    ("views", "line"),
    [
        ([view(), view()], "0 of 2 breakers open, 20.0 calls/s, all well"),
        ([view(), view(error_pct=50.0)], "0 of 2 breakers open, 5.0 calls/s degraded"),
        ([view("open", 0.0), view()], "1 of 2 breakers open, 10.0 calls/s"),
        ([view("stale", 0.0), view()], "0 of 2 breakers open, 1 stale, 10.0 calls/s"),
        ([view("half_open")], "0 of 1 breakers open, 1 half-open, 10.0 calls/s"),
        ([view("forced_closed", override={})], "0 of 1 breakers open, 1 forced, 10.0 calls/s"),
        ([], "Waiting for the first report"),
    ],
)
def test_the_headline_is_calm_only_when_nothing_is_wrong(views: list[Any], line: str) -> None:
    assert node.run(SCRIPT, views) == line
