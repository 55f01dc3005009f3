"""`make demo PROFILE=production` as it runs: every process of the Procfile behind the balancer."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from examples.production.state import PORTS, BadPort, Production, ports_of
from tests.examples.running import ROOT, Running, eventually, http, running
from tests.servers import free_port

UP_S = 40.0
WEBS = ("WEB1_PORT", "WEB2_PORT")
ROLES = {"postgres", "redis", "web1", "web2", "balancer", "fleet1", "fleet2"} | {
    "worker",
    "beat",
    "shop",
}


class RunningDemo:
    """What the tests ask of a running production shape."""

    def __init__(self, process: Running, ports: dict[str, str]) -> None:
        self.process = process
        self.ports = ports
        self.url = process.line(r"Dashboard +(http://\S+)", UP_S)[1]

    def webs(self) -> dict[int, str]:
        """The two servers: their pids, and their ports."""
        lines = self.process.processes().items()
        found = ((pid, re.search(r"^python manage\.py web --port (\d+)", s)) for pid, s in lines)
        return {pid: match[1] for pid, match in found if match}

    @contextmanager
    def signed_in(self) -> Iterator[httpx.Client]:
        password = self.process.line(r"operator +(\S+)")[1]
        with httpx.Client(base_url=self.url, trust_env=False, follow_redirects=True) as browser:
            page = browser.get("/")
            token = browser.cookies["csrftoken"]
            form = {"login": "operator", "password": password, "csrfmiddlewaretoken": token}
            assert browser.post(str(page.url), data=form).status_code == 200
            yield browser


@pytest.fixture(scope="module")
def shape(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    home = tmp_path_factory.mktemp("production")
    ports = {name: str(free_port()) for name in PORTS}
    arguments = ("--profile", "production")
    with running("examples.demo", *arguments, DEMO_DIR=str(home), **ports) as process:
        yield RunningDemo(process, ports)


def test_every_line_of_the_procfile_is_there_twice_where_two_share_the_work() -> None:
    lines = (ROOT / "Procfile").read_text().splitlines()
    assert {line.partition(":")[0] for line in lines if not line.startswith("#")} == ROLES


def test_it_prints_the_card_and_lets_the_operator_in(shape: RunningDemo) -> None:
    shape.process.line(r"2:47 AM +http://127.0.0.1:\d+", UP_S)
    with shape.signed_in() as browser:
        assert "sessionid" in browser.cookies


def test_haproxy_is_the_balancer(shape: RunningDemo) -> None:
    assert any("haproxy" in command for command in shape.process.processes().values())


def test_what_the_shop_reports_goes_through_all_of_it(shape: RunningDemo) -> None:
    with shape.signed_in() as browser:
        where = "/api/v1/services/profile-api/breakers/users-db/history?range=5m"
        eventually(
            lambda: browser.get(where).json()["total"]["counts"]["success"] > 100,
            40,
            lambda: browser.get(where).text[:500],
        )


@pytest.mark.parametrize("name", ["FLEET1_PORT", "FLEET2_PORT", "WORKER_PORT"])
def test_roles_without_pages_tell_of_themselves(shape: RunningDemo, name: str) -> None:
    url = f"http://127.0.0.1:{shape.ports[name]}"
    assert http.get(f"{url}/healthz").json() == {"status": "ok"}
    assert "switchgear_checkpoint_seconds_count" in http.get(f"{url}/metrics").text


def test_a_killed_web_process_is_missed_by_nobody_and_comes_back(shape: RunningDemo) -> None:
    pid, port = next(iter(shape.webs().items()))
    os.kill(pid, signal.SIGKILL)
    # Until the process is gone the kernel takes connections for it, and a balancer that speaks TCP
    # repeats no request. Whoever was connected to it connects anew.
    eventually(lambda: not _runs(pid), 10)
    eventually(lambda: http.get(f"{shape.url}/healthz").status_code == 200, 5)
    for _ in range(10):
        assert httpx.get(f"{shape.url}/healthz", trust_env=False).status_code == 200
    eventually(lambda: http.get(f"http://127.0.0.1:{port}/healthz").status_code == 200, 30)


def _runs(pid: int) -> bool:
    """Whether a process lives, and has not merely left its exit status to be read."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_a_web_process_that_is_told_to_end_hands_its_agents_over(shape: RunningDemo) -> None:
    def connected() -> list[float]:
        urls = [f"http://127.0.0.1:{shape.ports[name]}/metrics" for name in WEBS]
        found = [
            re.search(r"^switchgear_agents_connected (.+)$", http.get(u).text, re.M) for u in urls
        ]
        return [float(each[1]) for each in found if each]

    eventually(lambda: sum(connected()) == 6, 30, connected)
    pid = next(pid for pid, port in shape.webs().items() if port == shape.ports["WEB1_PORT"])
    os.kill(pid, signal.SIGTERM)
    eventually(lambda: not Path(f"/proc/{pid}").exists(), 10)
    eventually(lambda: sum(connected()) == 6, 30, connected)


def test_ctrl_c_ends_every_process(shape: RunningDemo) -> None:
    shape.process.process.send_signal(signal.SIGINT)
    eventually(lambda: not shape.process.processes(), 12.0, shape.process.processes)
    assert shape.process.process.wait() == 0
    assert shape.process.lines[-1] == "Stopped."


def test_a_port_that_is_none_is_refused_by_its_name() -> None:
    with pytest.raises(BadPort, match="REDIS_PORT is '0'; it must be a port from 1 to 65535"):
        ports_of({"REDIS_PORT": "0"})


def test_secrets_are_in_files_for_their_owner_and_not_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("examples.demo.state.HOME", tmp_path)
    state = Production.of({})
    env = state.environment()
    for name in ("postgres", "redis"):
        password = (state.directory / f"{name}.password").read_text()
        assert not any(password in value for value in env.values())
    for path in state.directory.glob("*"):
        secret = path.is_file() and path.suffix != ".lock"
        assert not secret or path.stat().st_mode & 0o077 == 0, path
