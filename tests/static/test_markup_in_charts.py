"""Markup in charts: text is escaped before Plotly, which draws links."""

from __future__ import annotations

from tests.static import node

LINK = '<a href="https://evil.example">x</a>'
SCRIPT = """
import { escaped } from "./static/js/markup.js";
console.log(JSON.stringify(JSON.parse(process.argv[1]).map(escaped)));
"""


def test_names_and_causes_are_escaped() -> None:
    link, entity, plain = node.run(SCRIPT, [LINK, "&lt;b&gt;", "web-1"])
    assert not set("<>\"'") & set(link)
    assert entity == "&#38;lt;b&#38;gt;"
    assert plain == "web-1"
