"""What a page knows of the fleet, in real Node."""

from __future__ import annotations

from typing import Any

from tests.static import node

SCRIPT = """
import { Store } from "./static/js/store.js";
const store = new Store();
const steps = [];
for (const frame of JSON.parse(process.argv[1])) {
  store.apply(frame);
  const { services, breakers, overCapacity } = store;
  steps.push([services, breakers, overCapacity].map((each) => [...each.keys()]));
}
console.log(JSON.stringify(steps));
"""


def frame(service: str, full: bool, names: list[str], removed: list[str] | None = None) -> Any:
    return {
        "service": service,
        "at": 1000.0,
        "full": full,
        "breakers": [{"name": name, "spark": [], "spark_err": []} for name in names],
        "instances": [{"id": "one", "zone": "", "version": ""}] if names else [],
        "removed": {"breakers": removed or [], "instances": ["one"] if removed else []},
        "over_capacity": {"breakers": 0, "instances": 0},
    }


def test_a_service_without_instances_is_removed() -> None:
    frames = [
        frame("shop", True, ["posts"]),
        frame("bank", True, ["users"]),
        frame("shop", False, [], removed=["posts"]),
        frame("shop", True, []),
    ]
    steps = node.run(SCRIPT, frames)
    assert steps[1] == [["shop", "bank"], ["shop\nposts", "bank\nusers"], ["shop", "bank"]]
    assert steps[2][:2] == [["shop", "bank"], ["bank\nusers"]]
    assert steps[3] == [["bank"], ["bank\nusers"], ["bank"]]


MINUTES = """
import { Store } from "./static/js/store.js";
const store = new Store();
const steps = [];
for (const frame of JSON.parse(process.argv[1])) {
  store.apply(frame);
  const view = store.breakers.get("shop\\nposts");
  steps.push([[...view.spark], [...view.spark_err]]);
}
console.log(JSON.stringify(steps));
"""


def tailed(at: float, tail: list[int], tail_err: list[int]) -> Any:
    steps = frame("shop", False, [])
    return steps | {"at": at, "breakers": [{"name": "posts", "tail": tail, "tail_err": tail_err}]}


def test_a_tail_is_merged_into_the_known_minute() -> None:
    whole = frame("shop", True, ["posts"])
    whole["breakers"][0] |= {"spark": list(range(60)), "spark_err": [0] * 60}
    first, same, later, much_later = node.run(
        MINUTES,
        [
            whole,
            tailed(1000.7, [1, 2, 3, 4, 5], [0, 0, 0, 0, 9]),
            tailed(1002.2, [3, 4, 5, 6, 7], [0, 0, 9, 0, 0]),
            tailed(1100.0, [8] * 5, [0] * 5),
        ],
    )
    assert first[0] == list(range(60))
    assert same == [[*range(55), 1, 2, 3, 4, 5], [0] * 59 + [9]]
    assert later == [[*range(2, 55), 1, 2, 3, 4, 5, 6, 7], [0] * 57 + [9, 0, 0]]
    assert much_later == [[0] * 55 + [8] * 5, [0] * 60]
