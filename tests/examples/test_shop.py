"""The shop as it runs: real processes, real sockets, no dashboard."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from examples.shop.fleet import Addresses
from tests.examples.running import ROOT, Running, eventually, http, running

SMALL = ("--profile-apis", "2", "--webs", "1", "--rate", "40", "--pace", "10", "--any-ports")


class Shop:
    """What the tests ask of a running shop."""

    def __init__(self, process: Running, directory: Path) -> None:
        self.process = process
        self.directory = directory
        process.line("processes serve")
        path = directory / "shop.json"
        self.at = msgspec.json.decode(eventually(path.read_bytes, 5.0), type=Addresses)
        self.api = self.at.peers["profile-api"]
        (self.web,) = self.at.peers["web"]

    def profile(self, user_id: int = 7) -> httpx.Response:
        return http.get(f"{self.api[0]}/profile/{user_id}")

    def states(self, name: str) -> list[str]:
        """The state of a breaker on each instance that has it."""
        found: list[dict[str, Any]] = []
        for base in (*self.api, self.web):
            found += http.get(f"{base}/breakers").json()
        return [breaker["state"] for breaker in found if breaker["name"] == name]

    def all_closed(self) -> bool:
        names = ("users-db", "posts", "social", "profile-api")
        return all(set(self.states(name)) == {"closed"} for name in names)

    def status(self) -> dict[str, Any]:
        """What the director's page shows."""
        seen: dict[str, Any] = http.get(f"{self.at.director}/status").json()
        return seen

    def unavailable(self) -> int:
        """How many users got a 503 of late."""
        return sum(second["unavailable"] for second in self.status()["load"]["seconds"])

    def disturb(self, kind: str, **behaviour: float) -> None:
        (base,) = self.at.peers[kind]
        normal = {"median": 0.05, "p99": 0.05}
        body = {**normal, **behaviour} if behaviour else None
        http.put(f"{base}/behaviour", json=body).raise_for_status()

    def incident(self, act: str) -> dict[str, Any]:
        where: dict[str, Any] = http.post(f"{self.at.director}/incident/{act}").json()
        return where


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    directory = tmp_path_factory.mktemp("shop with spaces")
    with running("examples.shop", "--dir", str(directory), *SMALL) as process:
        yield Shop(process, directory)


def test_a_profile_is_whole_while_all_is_well(shop: Shop) -> None:
    answer = shop.profile(7)
    assert answer.status_code == 200
    profile = answer.json()
    assert profile["user"]["id"] == 7
    assert profile["posts"]
    assert profile["friend_count"] is not None
    assert profile["degraded"] == []


def test_web_renders_what_profile_api_says(shop: Shop) -> None:
    answer = http.get(f"{shop.web}/profile/7")
    assert answer.status_code == 200
    assert "Frances 7" in answer.text


def test_every_process_says_that_it_is_healthy(shop: Shop) -> None:
    for base in (shop.at.director, *(base for bases in shop.at.peers.values() for base in bases)):
        assert http.get(f"{base}/healthz").status_code == 200


def test_a_200_with_half_a_body_is_a_failure_and_falls_back(shop: Shop) -> None:
    shop.disturb("social", corrupt=1.0)
    try:
        profile = eventually(
            lambda: p if (p := shop.profile().json()).get("degraded") == ["social"] else None, 5.0
        )
        assert profile["friend_count"] is None
        assert profile["posts"]
    finally:
        shop.disturb("social")
    eventually(shop.all_closed, 15.0)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/behaviour", b'{"median": -1, "p99": 1}', "$.median"),
        ("/behaviour", b"{", "truncated"),
        ("/behaviour", b" " * 70_000, "65536"),
    ],
)
def test_a_dependency_refuses_a_behaviour_that_is_none(
    shop: Shop, path: str, body: bytes, field: str
) -> None:
    (base,) = shop.at.peers["posts"]
    answer = http.put(base + path, content=body)
    assert answer.status_code in {400, 413}
    assert field in answer.json()["error"]


def test_the_director_serves_its_page_to_this_machine_only(shop: Shop) -> None:
    page = http.get(shop.at.director)
    assert "2:47" in page.text
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    rebound = http.get(shop.at.director, headers={"Host": "evil.example"})
    assert rebound.status_code == 403
    forged = http.post(
        f"{shop.at.director}/incident/start", headers={"Origin": "https://evil.example"}
    )
    assert forged.status_code == 403
    assert not shop.status()["incident"]["running"]


def test_an_impossible_pace_is_refused_by_the_director(shop: Shop) -> None:
    command = [sys.executable, "-m", "examples.shop", "incident", "start", "--pace", "101"]
    done = subprocess.run(
        [*command, "--url", shop.at.director], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stderr) == (2, "pace is 101.0; it must be from 0.1 to 100\n")
    assert not shop.status()["incident"]["running"]
    unknown = http.post(f"{shop.at.director}/incident/start", json={"speed": 2})
    assert unknown.status_code == 400


def test_the_incident_trips_breakers_and_they_recover_by_themselves(shop: Shop) -> None:
    assert shop.incident("start")["running"]
    eventually(lambda: set(shop.states("posts")) == {"open"}, 5.0)
    # Nobody has asked for this user, so that no cache can answer.
    assert "posts" in shop.profile(100_000).json()["degraded"]

    # The database drowns: no profile without a user, and the cascade reaches web.
    eventually(lambda: set(shop.states("users-db")) == {"open"}, 12.0)
    eventually(lambda: shop.states("profile-api") == ["open"], 8.0)
    refused = eventually(lambda: a if (a := shop.profile()).status_code == 503 else None, 5.0)
    assert int(refused.headers["Retry-After"]) >= 1
    assert "users-db" in refused.json()["error"]

    status = eventually(lambda: shop.status() if shop.unavailable() else None, 5.0)
    assert status["incident"]["phase"] == len(status["incident"]["script"]) - 1
    assert status["load"]["rate"] == pytest.approx(40 * 1.4)

    assert not shop.incident("stop")["running"]
    eventually(shop.all_closed, 15.0)
    eventually(lambda: shop.profile().json()["degraded"] == [], 5.0)


def test_what_dies_is_started_again_at_the_same_address(shop: Shop) -> None:
    victim = shop.process.named("profile-api-1")
    os.kill(victim, signal.SIGKILL)
    shop.process.line(r"profile-api-1 \(pid \d+\) ended with -9; starting it again", 5.0)
    eventually(lambda: shop.profile().status_code == 200, 5.0)
    assert shop.process.named("profile-api-1") != victim


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_the_supervisor(tmp_path: Path, number: signal.Signals) -> None:
    arguments = ("--dir", str(tmp_path), *SMALL, "--profile-apis", "1")
    with running("examples.shop", *arguments) as process:
        process.line("processes serve")
        assert len(process.processes()) == 7
        process.process.send_signal(number)
        eventually(lambda: not process.processes(), 6.0, process.processes)
        assert process.process.wait() == (-9 if number == signal.SIGKILL else 0)
