"""The agent in JavaScript: real Node, real opossum, a real dashboard."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from breakers.circuit.histogram import bucket_index
from tests.dashboard.child_process import Dashboard, embedded_dashboard
from tests.dashboard.operators import Operator
from tests.examples.running import ROOT, eventually, http

PROJECT = ROOT / "examples" / "node-agent"
MISSING = "these tests need Node 18 or newer and npm: apt-get install nodejs npm"


@pytest.fixture(scope="module")
def node() -> str:
    """Node, with what the example needs installed as its lock says."""
    found, npm = shutil.which("node"), shutil.which("npm")
    assert found, MISSING
    assert npm, MISSING
    lock, installed = PROJECT / "package-lock.json", PROJECT / "node_modules/.package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        subprocess.run([npm, "ci"], cwd=PROJECT, check=True, timeout=300)
    return found


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory, static_files: None) -> Iterator[Dashboard]:
    collected = {"SWITCHGEAR_STATIC_ROOT": str(settings.STATIC_ROOT)}
    with embedded_dashboard(tmp_path_factory.mktemp("dashboard"), **collected) as running:
        yield running


@pytest.fixture(scope="module")
def operator(dashboard: Dashboard) -> Iterator[Operator]:
    with Operator(dashboard) as ops:
        yield ops


class Service:
    """The example's service as a process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()
        self.url = eventually(self._address, 20, lambda: self.lines)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)

    def _address(self) -> str:
        found = re.search(r"http://\S+", "".join(self.lines))
        return found[0] if found else ""

    def get(self, path: str) -> Any:
        return http.get(self.url + path).json()

    def stop(self) -> None:
        """By SIGTERM; what it says last is in `lines`."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(10) == 0


@contextmanager
def service(node: str, dashboard: Dashboard, token: str, name: str) -> Iterator[Service]:
    own = {
        "SWITCHGEAR_URL": dashboard.url,
        "SWITCHGEAR_TOKEN": token,
        "SWITCHGEAR_SERVICE": name,
        "SWITCHGEAR_INSTANCE": "node-1",
    }
    process = subprocess.Popen(
        [node, "service.js"],
        cwd=PROJECT,
        env=os.environ | own,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield Service(process)
    finally:
        process.kill()
        process.wait()


def acks(dashboard: Dashboard, name: str) -> Any:
    return dashboard.python(
        "from dashboard.control.models import Ack\n"
        f"found = Ack.objects.filter(override__service='{name}')\n"
        "print(json.dumps([[a.override.state, a.instance, a.status] for a in found]))"
    )


def counted(dashboard: Dashboard, name: str) -> Any:
    """What history holds of the service: outcomes, and how many latencies."""
    return dashboard.python(
        "from collections import Counter\n"
        "from dashboard.history.models import Rollup\n"
        "total = Counter()\n"
        f"for row in Rollup.objects.filter(service='{name}'):\n"
        "    for outcome in ('success', 'failure', 'rejected'):\n"
        "        total[outcome] += getattr(row, outcome)\n"
        "    total['latencies'] += sum(row.sketch[1:])\n"
        "print(json.dumps(total))"
    )


def test_its_own_tests_pass(node: str) -> None:
    done = subprocess.run([node, "--test"], cwd=PROJECT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


def test_it_has_the_buckets_of_the_protocol(node: str) -> None:
    latencies = [2.0 ** (i / 8) * factor for i in range(-170, 140) for factor in (0.99, 1, 1.01)]
    told = subprocess.run(
        [
            node,
            "--input-type=module",
            "-e",
            "import { bucketIndex } from './src/histogram.js';"
            f"console.log(JSON.stringify({latencies}.map(bucketIndex)))",
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == str([bucket_index(each) for each in latencies]).replace(" ", "")


def test_it_reports_and_obeys_and_every_call_is_counted(
    node: str, dashboard: Dashboard, operator: Operator
) -> None:
    with service(node, dashboard, dashboard.token("node"), "node") as running:
        for _ in range(20):
            assert running.get("/posts")["result"] == "posts"
        eventually(lambda: counted(dashboard, "node").get("success") == 20, 10)

        operator.force("node", "posts", "force-open")
        eventually(lambda: running.get("/")["state"] == "forced_open", 5)
        refused = running.get("/posts")
        assert (refused["error"], refused["opossum"]) == ("EOPENBREAKER", True)
        told = ["forced_open", "node-1", "applied"]
        eventually(lambda: acks(dashboard, "node") == [told], 10)

        running.get("/fail?share=1")
        operator.force("node", "posts", "metrics-only")
        eventually(lambda: running.get("/")["state"] == "metrics_only", 5)
        for _ in range(20):
            assert running.get("/posts")["error"] == "Error: the dependency failed"
        told = ["metrics_only", "node-1", "applied"]
        eventually(lambda: told in acks(dashboard, "node"), 10)

        running.get("/fail?share=0")
        operator.force("node", "posts", "force-open", expires_in_s=2)
        eventually(lambda: running.get("/")["state"] == "forced_open", 5)
        eventually(lambda: running.get("/")["state"] == "half_open", 5)
        assert running.get("/posts") == {
            "state": "half_open",
            "opossum": False,
            "result": "posts",
            "error": "",
        }
        running.stop()
        assert "everything is reported\n" in running.lines
    total = counted(dashboard, "node")
    assert total == {"success": 21, "failure": 20, "rejected": 1, "latencies": 41}


def test_it_outlives_a_dashboard_that_is_killed(node: str, tmp_path: Path) -> None:
    with embedded_dashboard(tmp_path) as first:
        token = first.token("node")
        with service(node, first, token, "node") as running:
            running.get("/posts")
            eventually(lambda: counted(first, "node").get("success") == 1, 10)
            first.kill()
            for _ in range(50):
                assert running.get("/posts")["result"] == "posts"
            first.start()
            eventually(lambda: counted(first, "node").get("success") == 51, 20)
            running.stop()
        assert counted(first, "node")["success"] == 51
