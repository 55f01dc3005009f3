"""Where a breaker is open: the page says the same as dashboard/alerts/splits.py."""

from __future__ import annotations

import random
from typing import Any

from dashboard.alerts.observations import InstanceFacts
from dashboard.alerts.splits import open_only_on, split
from tests.static import node

SCRIPT = """
import { openOnlyOn, split } from "./static/js/split.js";
console.log(JSON.stringify(JSON.parse(process.argv[1]).map((instances) => {
  const infos = new Map(instances.map((each) => [each.id, each]));
  const shares = {};
  for (const by of ["version", "zone"]) {
    shares[by] = Object.fromEntries(split(instances, infos, by).map((e) => [e.value, [e.open, e.total]]));
  }
  return { only: openOnlyOn(instances, infos), shares };
})));
"""  # noqa: E501


def fleets() -> list[list[dict[str, Any]]]:
    """Fleets of which many are split by version or by zone."""
    dice = random.Random(16)
    found = []
    for _ in range(300):
        by, sick = dice.choice([("version", "v124"), ("zone", "eu-west"), ("version", "none")])
        fleet = []
        for n in range(dice.randrange(1, 9)):
            each: dict[str, Any] = {
                "id": f"i{n}", "version": dice.choice(["v123", "v124", "v125", ""]),
                "zone": dice.choice(["eu-west", "eu-east", ""]), "stale": dice.random() < 0.1,
            }  # fmt: skip
            is_open = each[by] == sick if dice.random() < 0.95 else dice.random() < 0.5
            each["state"] = dice.choice(["open", "half_open"]) if is_open else "closed"
            fleet.append(each)
        found.append(fleet)
    return found


def test_the_page_splits_as_the_server_does() -> None:
    cases = fleets()
    said = node.run(SCRIPT, cases)
    expected = []
    for fleet in cases:
        facts = [
            InstanceFacts(each["state"], 0.0, each["version"], each["zone"], each["stale"])
            for each in fleet
        ]
        shares = {
            by: {value: list(share) for value, share in split(facts, by).items()}
            for by in ("version", "zone")
        }
        expected.append({"only": open_only_on(facts), "shares": shares})
    assert said == expected
    assert {"v124", "zone eu-west", ""} <= {each["only"] for each in expected}
