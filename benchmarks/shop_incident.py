"""Records the incident of the shop, played by its real processes, into benchmarks/recorded.

    python -m benchmarks.shop_incident [--keep]

It starts the demo: the dashboard, the dependencies, four processes of profile-api and the load. An
operator records each call to posts, the director plays the incident for half a minute, and then the
breakers close again. The calls, the rollups and the reported states are read from the dashboard's
database. Open times are without jitter, whose random numbers are not recorded. With `--keep` the
file that tests and `benchmarks.whatif` read is replaced.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks import recorded
from tests.dashboard.dashboard_process import PythonShell
from tests.examples.demo_fleet import POSTS, Operator, ProfileApis
from tests.examples.running import Running, eventually, http, running

SERVICE: Final = "profile-api"
BREAKER: Final = "posts"
INCIDENT_S: Final = 30.0
_CALM_S: Final = 12.0
_UP_S: Final = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shop_incident", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--keep", action="store_true", help="replace the file in the repository")
    keep = parser.parse_args().keep
    with tempfile.TemporaryDirectory() as home:
        with running("examples.demo", "--port", "8680", DEMO_DIR=home) as demo:
            begins, ends = play(demo, Path(home))
            found = read(Path(home), begins, ends)
        file = recorded.FILE if keep else Path(home) / "incident.json.gz"
        recorded.save(found, file)
        incident = recorded.load(file)
    replayed = incident.replay_recording()
    print(
        f"shop calls={len(incident.calls)} refused={incident.refused} "
        f"differing={replayed.differing} recording_error={incident.error(replayed):.2f} "
        f"history_error={incident.error(incident.replay_history()):.2f}"
    )


def play(demo: Running, home: Path) -> tuple[float, float]:
    """Record the incident; when it began and ended (Unix time)."""
    url = demo.line(r"Dashboard +(http://\S+)", _UP_S)[1]
    director = demo.line(r"2:47 AM +(http://\S+)")[1]
    directory = home / url.rpartition(":")[2]
    apis = ProfileApis(directory)
    operator = Operator(url, "operator", (directory / "operator.password").read_text().strip())
    eventually(lambda: set(apis.states()) == {"closed"}, _UP_S, apis.states)
    operator.post(POSTS, open_jitter="0", action="save")
    eventually(lambda: operator.page(POSTS).count('data-result="applied"') == 4, _UP_S)
    page = POSTS.removesuffix("/policy")
    operator.send(f"{page}/record")
    begins = time.time()
    time.sleep(_CALM_S)
    http.post(f"{director}/incident/start").raise_for_status()
    eventually(lambda: "open" in apis.states(), _UP_S, apis.states)
    time.sleep(INCIDENT_S)
    http.post(f"{director}/incident/stop").raise_for_status()
    eventually(lambda: set(apis.states()) == {"closed"}, _UP_S, apis.states)
    time.sleep(_CALM_S)
    ends = time.time()
    operator.send(f"{page}/record", stop=operator.field(page, "stop"))
    time.sleep(_CALM_S)  # what was recorded comes behind the reports; rollups are stored
    operator.close()
    return begins, ends


def read(home: Path, begins: float, ends: float) -> dict[str, Any]:
    """What the dashboard's database has of a range; see `benchmarks.recorded.reading`."""
    (directory,) = home.iterdir()
    shell = PythonShell(
        {
            "SWITCHGEAR_DATABASE_URL": f"sqlite:///{directory / 'db.sqlite3'}",
            "SWITCHGEAR_SECRET_KEY_FILE": str(directory / "secret_key"),
        }
    )
    code = (
        "from benchmarks.recorded.reading import read\n"
        f"print(json.dumps(read({SERVICE!r}, {BREAKER!r}, {begins!r}, {ends!r})))"
    )
    try:
        found: dict[str, Any] = json.loads(shell.run(code))
    finally:
        shell.close()
    return found


if __name__ == "__main__":
    main()
