"""The Grafana dashboard and the Prometheus rules name metrics that processes really expose."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from breakers import CircuitBreaker, Registry
from breakers.exporters.prometheus import BreakerCollector
from dashboard.alerts.runner import Runner
from dashboard.bus.memory import MemoryBus
from dashboard.fleet.snapshot.store import FleetSnapshot
from dashboard.observability import metrics as telemetry
from dashboard.observability.process_metrics import add_web_gauges, add_worker_gauges

DEPLOY = Path(__file__).parents[3] / "deploy"
RULES = DEPLOY / "prometheus" / "switchgear.rules.yml"
_NAME = re.compile(r"\b(?:switchgear|circuit_breaker|process)_[a-z_]+\b")


def panels() -> list[tuple[str, str]]:
    """Title and expression of each target, with Grafana's variables replaced."""
    dashboard = json.loads((DEPLOY / "grafana" / "switchgear.json").read_text())
    return [
        (panel["title"], target["expr"].replace("$__rate_interval", "1m"))
        for panel in dashboard["panels"]
        for target in panel["targets"]
    ]


def rules() -> list[tuple[str, str]]:
    """Name and expression of each alert rule."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [(rule["alert"], rule["expr"]) for group in groups for rule in group["rules"]]


@pytest.fixture
def exposed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of all samples and families of a web process, a worker and an exporter."""
    monkeypatch.setattr(telemetry, "_gauges", {})
    add_web_gauges()
    worker: Any = SimpleNamespace(
        lag_s=0.0, last_tick=0.0, state=SimpleNamespace(duplicates=0),
        checkpoints=SimpleNamespace(dead_letters=0),
    )  # fmt: skip
    add_worker_gauges(worker)
    Runner(FleetSnapshot(MemoryBus(), is_running=True))._add_gauges()
    mine, breakers = CollectorRegistry(), Registry()
    CircuitBreaker(name="posts", registry=breakers).call(len, "four")
    mine.register(BreakerCollector(breakers))
    text = generate_latest(telemetry.registry) + generate_latest(mine)
    names = set(re.findall(r"^([a-z_]+)", text.decode(), re.MULTILINE))
    # Counters with labels have no sample before the first event, but a family.
    counters = re.findall(r"^# TYPE ([a-z_]+) counter$", text.decode(), re.MULTILINE)
    return names | set(counters)


@pytest.mark.parametrize(("title", "expression"), [*panels(), *rules()])
def test_every_metric_exists(exposed: set[str], title: str, expression: str) -> None:
    named = set(_NAME.findall(expression))
    assert named - exposed == set()
    assert named or expression.startswith("up{")


def test_promtool_takes_rules_and_configuration(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("apt-get install prometheus")
    copy = shutil.copytree(DEPLOY / "prometheus", tmp_path / "prometheus")
    (copy / "metrics-token").write_text("t")
    config = copy / "prometheus.yml"
    done = subprocess.run(
        [promtool, "check", "config", str(config)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules())} rules found" in done.stdout
