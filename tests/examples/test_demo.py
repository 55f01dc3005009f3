"""`make demo` as it runs: the real dashboard beside the real shop."""

import os
import re
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.examples.demo_fleet import POSTS, Operator, ProfileApis
from tests.examples.running import Running, eventually, http, running

UP_S = 60.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


class Demo:
    """What the tests ask of a running demo."""

    def __init__(self, process: Running, home: Path, wanted: int) -> None:
        self.process = process
        self.home = home
        self.url = process.line(r"Dashboard +(http://\S+)", UP_S)[1]
        self.port = int(self.url.rpartition(":")[2])
        self.wanted = wanted

    @property
    def director(self) -> str:
        return self.process.line(r"2:47 AM +(http://\S+)")[1]

    def users_get_answers(self) -> bool:
        seconds = http.get(f"{self.director}/status").json()["load"]["seconds"]
        return any(second["whole"] for second in seconds[-3:])


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo in a directory with spaces, with an empty HOME, whose first port is taken."""
    home = tmp_path_factory.mktemp("a demo")
    env = {"DEMO_DIR": str(home), "HOME": str(tmp_path_factory.mktemp("home"))}
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = taken.getsockname()[1]
        with running("examples.demo", "--port", str(port), **env) as process:
            yield Demo(process, home, port)


def expect(demo: Demo, what: str, line: str) -> None:
    """Run `python -m examples.demo <what>`: it says `line` and ends well."""
    with running("examples.demo", what, DEMO_DIR=str(demo.home)) as command:
        command.line(line, UP_S)
        assert command.process.wait() == 0


def kill_dashboard(demo: Demo) -> None:
    os.kill(demo.process.named("examples.demo.serve"), signal.SIGKILL)


def test_a_taken_port_is_named_and_the_next_free_one_is_used(demo: Demo) -> None:
    demo.process.line(f"Port {demo.wanted} is taken by another program")
    assert demo.port > demo.wanted


def test_the_first_address_it_prints_is_the_dashboards_and_is_healthy(demo: Demo) -> None:
    first = re.search(r"http://127\.0\.0\.1:\d+", "\n".join(demo.process.lines))
    assert first is not None
    assert first[0] == demo.url
    assert http.get(f"{demo.url}/healthz").status_code == 200


def test_it_prints_names_and_passwords_and_keeps_them_to_itself(demo: Demo) -> None:
    printed = demo.process.line(r"operator +(\S+)")[1]
    kept = demo.home / str(demo.port) / "operator.password"
    assert kept.read_text() == printed
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_the_operator_can_sign_in(demo: Demo) -> None:
    password = demo.process.line(r"operator +(\S+)")[1]
    with httpx.Client(base_url=demo.url, trust_env=False, follow_redirects=True) as browser:
        page = browser.get("/")
        form = {
            "login": "operator",
            "password": password,
            "csrfmiddlewaretoken": browser.cookies["csrftoken"],
        }
        signed_in = browser.post(str(page.url), data=form)
        assert signed_in.status_code == 200
        assert "sessionid" in browser.cookies


@pytest.fixture(scope="module")
def operator(demo: Demo) -> Iterator[Operator]:
    password = demo.process.line(r"operator +(\S+)")[1]
    signed_in = Operator(demo.url, "operator", password)
    yield signed_in
    signed_in.close()


@pytest.fixture(scope="module")
def apis(demo: Demo) -> ProfileApis:
    return ProfileApis(demo.home / str(demo.port))


def all_closed(apis: ProfileApis) -> bool:
    return set(apis.states()) == {"closed"}


def test_a_canary_with_a_timeout_below_the_median_is_taken_back(
    operator: Operator, apis: ProfileApis
) -> None:
    eventually(lambda: all_closed(apis), 20.0, apis.states)
    canary = {"instances": "profile-api-1", "promotes": "on", "action": "rollout"}
    assert "Take back" in operator.post(POSTS, timeout="30 ms", reason="faster", **canary)

    halted = r"<b>halted</b>: halted: success [\d.]+ % against [\d.]+ %, p < "
    eventually(lambda: re.search(halted, operator.page(POSTS)), 60.0)
    eventually(lambda: all_closed(apis), 20.0, apis.states)


@pytest.fixture(scope="class")
def quorum(operator: Operator, apis: ProfileApis) -> Iterator[None]:
    """The rest of the four instances of profile-api opens when three of them did."""
    eventually(lambda: all_closed(apis), 20.0, apis.states)
    page = operator.post(POSTS, quorum_share="75 %", timeout_duration="2 s", action="save")
    assert "quorum share inherited → 75 %" in page
    yield
    apis.cut_off()
    operator.post(POSTS, action="save")


@pytest.mark.usefixtures("quorum")
class TestFleetRules:
    def test_one_bad_instance_never_poisons_the_others(self, apis: ProfileApis) -> None:
        for _ in range(3):
            apis.cut_off(0)
            eventually(lambda: apis.posts(0)["state"] == "half_open", 15.0, apis.states)
            others = apis.states()[1:]
            apis.cut_off()
            eventually(lambda: all_closed(apis), 30.0, apis.states)
            # On a busy machine others may open by themselves: then it is tried again.
            if others == ["closed"] * 3:
                return
        pytest.fail(f"the others were {others}")

    def test_a_quorum_opens_the_rest_and_all_close_again_by_themselves(
        self, apis: ProfileApis, operator: Operator
    ) -> None:
        before = apis.posts(3)["counts"]
        apis.cut_off(0, 1, 2)
        eventually(lambda: apis.posts(3)["state"] == "forced_open", 4.0, apis.states)
        after = apis.posts(3)
        assert after["automatic_state"] == "closed"
        for outcome in ("failure", "timeout"):
            assert after["counts"].get(outcome, 0) == before.get(outcome, 0)
        page = operator.page("/services/profile-api/breakers/posts")
        assert "quorum rule" in page
        assert "3 of 4 instances opened by themselves within 10 s" in page
        apis.cut_off()
        eventually(lambda: all_closed(apis), 30.0, apis.states)

    def test_a_new_instance_starts_open(self, apis: ProfileApis, demo: Demo) -> None:
        apis.cut_off(0, 1, 2)
        eventually(lambda: apis.posts(3)["state"] == "forced_open", 4.0, apis.states)
        # Started again, it could reach posts.
        os.kill(http.get(f"{apis.addresses[2]}/pid").json(), signal.SIGKILL)

        def warm() -> bool:
            return str(apis.posts(2)["cause"]).startswith("warm start: ")

        eventually(warm, 10.0, lambda: apis.posts(2))
        assert not apis.posts(2)["counts"].get("failure", 0)
        apis.cut_off()
        eventually(lambda: all_closed(apis), 30.0, apis.states)


def test_the_shop_outlives_the_dashboard_and_the_dashboard_comes_back(demo: Demo) -> None:
    kill_dashboard(demo)
    demo.process.line(r"dashboard ended \(killed by SIGKILL\)")
    demo.process.line("make dashboard")
    eventually(demo.users_get_answers, 5.0)

    expect(demo, "dashboard", f"The dashboard is back at {demo.url}")
    assert http.get(f"{demo.url}/healthz").status_code == 200
    eventually(demo.users_get_answers, 5.0)


def test_starting_the_demo_again_brings_the_dashboard_back_too(demo: Demo) -> None:
    kill_dashboard(demo)
    eventually(lambda: "\n".join(demo.process.lines).count("dashboard ended") == 2, 5.0)
    expect(demo, "demo", f"The dashboard is back at {demo.url}")


def test_a_dashboard_that_is_up_is_left_alone(demo: Demo) -> None:
    before = demo.process.named("examples.demo.serve")
    expect(demo, "dashboard", f"up already: {demo.url}")
    assert demo.process.named("examples.demo.serve") == before


def test_the_second_start_prepares_nothing_and_ctrl_c_stops_everything(demo: Demo) -> None:
    demo.process.process.send_signal(signal.SIGINT)
    eventually(lambda: not demo.process.processes(), 8.0, demo.process.processes)
    assert demo.process.process.wait() == 0
    assert demo.process.lines[-1] == "Stopped."

    env = {"DEMO_DIR": str(demo.home)}
    with running("examples.demo", "--port", str(demo.port), **env) as again:
        again.line(r"dashboard is up after ([\d.]+) s", UP_S)
        again.line("Ctrl-C stops everything")
        assert not any("Preparing" in line for line in again.lines)
        # Not even a kill that nobody can catch leaves anything behind.
        again.process.kill()
        eventually(lambda: not again.processes(), 8.0, again.processes)


@pytest.mark.parametrize("port", ["0", "65536", "eighty"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with running("examples.demo", "--port", port) as process:
        process.line("is no port; it must be from 1 to 65535")
        assert process.process.wait() == 2
