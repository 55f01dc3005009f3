"""The store of the pages merges frames as the golden files specify, like the dashboard does."""

from __future__ import annotations

import json
from pathlib import Path

from tests.static import node

FILES = sorted((Path(__file__).parents[1] / "golden" / "frames").glob("*.json"))

SCRIPT = """
import { readFileSync } from "node:fs";
import { Store } from "./static/js/store.js";
const found = JSON.parse(process.argv[1]).map((path) => {
  const { before, frame } = JSON.parse(readFileSync(path, "utf8"));
  const store = new Store();
  for (const { name, ...rest } of before) {
    const removed = { breakers: [], instances: [] };
    store.apply({ type: "frame", service: name, full: true, removed, ...rest });
  }
  store.apply(frame);
  return [...store.services].map(([name, instances]) => ({
    name,
    over_capacity: store.overCapacity.get(name),
    instances: [...instances.values()],
    breakers: [...store.breakers.values()].filter((each) => each.service === name),
  }));
});
console.log(JSON.stringify(found));
"""


def test_the_store_passes_every_golden_frame() -> None:
    assert len(FILES) >= 11
    for path, found in zip(FILES, node.run(SCRIPT, [str(each) for each in FILES]), strict=True):
        services = {each["name"]: each for each in found}
        wanted = {each["name"]: each for each in json.loads(path.read_text())["after"]}
        assert services.keys() == wanted.keys(), path.stem
        for name, service in wanted.items():
            mine = services[name]
            assert mine["over_capacity"] == service["over_capacity"], path.stem
            by_id = sorted(mine["instances"], key=lambda each: str(each["id"]))
            assert by_id == service["instances"], path.stem
            breakers = {each["name"]: each for each in mine["breakers"]}
            assert breakers.keys() == {each["name"] for each in service["breakers"]}, path.stem
            for each in service["breakers"]:
                shown = {key: breakers[each["name"]].get(key) for key in each}
                assert shown == each, (path.stem, each["name"])
