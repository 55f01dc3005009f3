"""A real Prometheus scrapes the dashboard, and evaluates the shipped rules and panels."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.dashboard.observability.test_deploy_files import RULES, panels, rules
from tests.e2e.dashboard_server import METRICS_TOKEN, Site
from tests.examples.running import eventually, http
from tests.servers import free_port


def test_a_real_prometheus_evaluates_every_rule_and_panel(site: Site, tmp_path: Path) -> None:
    prometheus = shutil.which("prometheus")
    if prometheus is None:
        pytest.skip("apt-get install prometheus")
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [
            {
                "job_name": "switchgear-web",
                "authorization": {"credentials": METRICS_TOKEN},
                "static_configs": [{"targets": [site.url.removeprefix("http://")]}],
            }
        ],
    }
    file, port = tmp_path / "prometheus.yml", free_port()
    file.write_text(yaml.safe_dump(config))
    url = f"http://127.0.0.1:{port}/api/v1"
    command = [
        prometheus, f"--config.file={file}", f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=error",
    ]  # fmt: skip

    def answer(expression: str) -> dict[str, Any]:
        found: dict[str, Any] = http.get(f"{url}/query", params={"query": expression}).json()
        return found

    with subprocess.Popen(command) as process:
        try:
            eventually(lambda: http.get(f"{url}/rules").status_code == 200, 30)
            eventually(lambda: bool(answer("switchgear_reports_total")["data"]["result"]), 30)
            for title, expression in [*panels(), *rules()]:
                assert answer(expression)["status"] == "success", title
            groups = http.get(f"{url}/rules").json()["data"]["groups"]
            assert sum(len(group["rules"]) for group in groups) == len(rules())
            (opened,) = answer("max(switchgear_breakers_open)")["data"]["result"]
            assert float(opened["value"][1]) > 0

            def healths() -> set[str]:
                groups = http.get(f"{url}/rules").json()["data"]["groups"]
                return {rule["health"] for group in groups for rule in group["rules"]}

            eventually(lambda: healths() == {"ok"}, 30)
        finally:
            process.terminate()
