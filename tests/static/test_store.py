"""What a page knows of the fleet, in real Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SCRIPT = """
import { Store } from "./static/js/store.js";
const store = new Store();
const told = [];
for (const frame of JSON.parse(process.argv[1])) {
  store.lay(frame);
  told.push([[...store.services.keys()], [...store.breakers.keys()], [...store.turnedAway.keys()]]);
}
console.log(JSON.stringify(told));
"""


def frame(service: str, full: bool, names: list[str], removed: list[str] | None = None) -> Any:
    return {
        "service": service,
        "at": 1000.0,
        "full": full,
        "breakers": [{"name": name, "spark": [], "spark_err": []} for name in names],
        "instances": [{"id": "one", "zone": "", "version": ""}] if names else [],
        "removed": {"breakers": removed or [], "instances": ["one"] if removed else []},
        "turned_away": {"breakers": 0, "instances": 0},
    }


def test_a_service_of_which_nobody_is_left_is_no_longer_one_of_the_fleet() -> None:
    node = shutil.which("node")
    assert node, "these tests need Node 18 or newer: apt-get install nodejs"
    frames = [
        frame("shop", True, ["posts"]),
        frame("bank", True, ["users"]),
        frame("shop", False, [], removed=["posts"]),
        frame("shop", True, []),
    ]
    command = [node, "--input-type=module", "-e", SCRIPT, json.dumps(frames)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told[1] == [["shop", "bank"], ["shop\nposts", "bank\nusers"], ["shop", "bank"]]
    assert told[2][:2] == [["shop", "bank"], ["bank\nusers"]]
    assert told[3] == [["bank"], ["bank\nusers"], ["bank"]]
