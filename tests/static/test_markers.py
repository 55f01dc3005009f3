"""Markers as Plotly draws them: in range, bounded, escaped."""

from __future__ import annotations

from typing import Any

from tests.static import node

SCRIPT = """
globalThis.document = {
  documentElement: { dataset: {} },
  body: { append() {} },
  addEventListener() {},
  createElement: () => ({ style: {} }),
};
globalThis.getComputedStyle = () => ({ color: "rgb(1, 2, 3)" });
globalThis.matchMedia = () => ({ matches: false, addEventListener() {} });
const { markerShapes } = await import("./static/js/markers.js");
const [markers, range] = JSON.parse(process.argv[1]);
console.log(JSON.stringify(markerShapes(markers, range)));
"""


def marker(at: float, **more: Any) -> dict[str, Any]:
    return {"at": at, "kind": "deploy", "version": "v124", "text": "out", "url": "", **more}


def test_markers_of_the_range_are_lines_with_labels() -> None:
    shown = node.run(SCRIPT, [[marker(150), marker(90), marker(210)], [100, 200]])
    assert len(shown["shapes"]) == 1
    assert shown["shapes"][0]["x0"] == shown["shapes"][0]["x1"]
    assert [each["text"] for each in shown["annotations"]] == ["v124"]


def test_text_of_others_is_escaped_and_many_are_bounded() -> None:
    hostile = marker(150, version="<b>x", text="<a href='https://evil.example'>")
    shown = node.run(SCRIPT, [[hostile] * 200, [100, 200]])
    assert (len(shown["shapes"]), len(shown["annotations"])) == (40, 8)
    first = shown["annotations"][0]
    assert not set("<>'") & set(first["text"] + first["hovertext"])
