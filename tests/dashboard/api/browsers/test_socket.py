"""The browsers' socket: who is let in, and what comes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.dashboard.api.agents.talking import post, report
from tests.dashboard.child_process import Dashboard

PASSWORD = "a password for the tests"


@pytest.fixture(scope="module")
def cookie(dashboard: Dashboard, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The session of a viewer who has logged in at the login page."""
    file = tmp_path_factory.mktemp("password") / "password"
    file.write_text(PASSWORD)
    dashboard.manage("collectstatic", "--noinput", "-v0")
    dashboard.manage("create_person", "eve", "--role", "viewer", "--password-file", str(file))
    with httpx.Client(base_url=dashboard.url, trust_env=False) as client:
        return log_in(client)


def log_in(client: httpx.Client, person: str = "eve") -> str:
    """Log in; the cookies of the session."""
    page = client.get("/login").text
    token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', page)
    assert token
    form = {"login": person, "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
    assert client.post("/login", data=form).status_code == 302
    return "; ".join(f"{name}={value}" for name, value in client.cookies.items())


@contextmanager
def socket(dashboard: Dashboard, cookie: str = "", origin: str = "") -> Iterator[ClientConnection]:
    url = dashboard.url.replace("http", "ws", 1) + "/live/v1"
    headers = {"Cookie": cookie} if cookie else {}
    with connect(url, origin=origin or dashboard.url, additional_headers=headers) as opened:  # type: ignore[arg-type]
        yield opened


def hear(opened: ClientConnection) -> Any:
    return json.loads(opened.recv(timeout=15))


def subscribe(opened: ClientConnection, *services: str) -> Any:
    opened.send(json.dumps({"subscribe": {"services": services}}))
    return hear(opened)


def test_anonymous_sockets_are_closed_with_4401(dashboard: Dashboard) -> None:
    with pytest.raises(ConnectionClosed) as closed, socket(dashboard) as opened:
        opened.recv(timeout=5)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost.evil.example"])
def test_a_page_of_another_site_is_refused(dashboard: Dashboard, cookie: str, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused, socket(dashboard, cookie, origin):
        pytest.fail("was let in")
    assert refused.value.response.status_code == 403


def test_a_snapshot_comes_first_and_then_what_changes(
    dashboard: Dashboard, token: str, cookie: str
) -> None:
    with socket(dashboard, cookie) as opened:
        snapshot = subscribe(opened, "*")
        assert snapshot["type"] == "snapshot"
        opening = [{"name": "live", "state": "open", "counts": {"failure": 3}}]
        post(dashboard, token, report(1, "live", breakers=opening))
        frame = hear(opened)
        while "live" not in [each["name"] for each in frame["breakers"]]:
            frame = hear(opened)
        assert frame["service"] == "shop"
        (view,) = [each for each in frame["breakers"] if each["name"] == "live"]
        assert view["state"] == "open"
        assert view["states"] == {"open": 1}


def test_only_subscribed_services_are_sent(dashboard: Dashboard, token: str, cookie: str) -> None:
    post(dashboard, token, report(1, "filter"))
    with socket(dashboard, cookie) as opened:
        assert subscribe(opened, "bank")["services"] == []
        post(dashboard, token, report(2, "filter"))
        with pytest.raises(TimeoutError):
            opened.recv(timeout=1.5)


@pytest.mark.parametrize(
    "wrong", ["", "[]", "{", '{"subscribe": {"services": 7}}', "x" * 20_000, "[" * 10_000]
)
def test_a_malformed_message_is_answered_and_the_socket_closed(
    dashboard: Dashboard, cookie: str, wrong: str
) -> None:
    with socket(dashboard, cookie) as opened:
        opened.send(wrong)
        assert hear(opened)["code"] == "malformed"
        with pytest.raises(ConnectionClosed) as closed:
            opened.recv(timeout=5)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4400


def test_an_instance_that_falls_silent_is_shown_as_stale(
    dashboard: Dashboard, token: str, cookie: str
) -> None:
    silent = [{"name": "silent", "state": "closed"}]
    post(dashboard, token, report(1, "silent", instance={"id": "gone"}, breakers=silent))
    with socket(dashboard, cookie) as opened:
        message = subscribe(opened, "shop")
        for _ in range(200):
            services = message.get("services") or [message]
            views = [each for service in services for each in service.get("breakers", ())]
            states = [each["state"] for each in views if each["name"] == "silent"]
            if states == ["stale"]:
                return
            message = hear(opened)
    pytest.fail("never became stale")


def test_the_snapshot_is_there_for_scripts_too(dashboard: Dashboard, cookie: str) -> None:
    url = f"{dashboard.url}/api/v1/fleet"
    answer = httpx.get(url, headers={"Cookie": cookie}, trust_env=False)
    assert answer.json()["type"] == "snapshot"
    assert httpx.get(url, trust_env=False).status_code == 302


def test_a_socket_ends_within_five_seconds_of_the_log_out(
    dashboard: Dashboard, cookie: str
) -> None:
    with httpx.Client(base_url=dashboard.url, trust_env=False) as client:
        own = log_in(client)
        with socket(dashboard, own) as opened:
            subscribe(opened, "nothing")
            token = client.cookies["csrftoken"]
            client.post("/logout", data={"csrfmiddlewaretoken": token})
            with pytest.raises(ConnectionClosed) as closed:
                opened.recv(timeout=5)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4401
            assert "log in again" in closed.value.rcvd.reason


def test_two_windows_of_different_people_hear_of_each_other(
    dashboard: Dashboard, cookie: str, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    dashboard.manage("create_person", "ann", "--role", "operator", "--password-file", str(file))
    with httpx.Client(base_url=dashboard.url, trust_env=False) as client:
        others = log_in(client, "ann")
    here: dict[str, Any] = {"targets": [["shop", "posts"]], "doing": "force-open"}
    with socket(dashboard, cookie) as eve, socket(dashboard, others) as ann:
        eve.send(json.dumps({"here": {"targets": [["shop", "posts"]]}}))
        assert hear(eve) == {"type": "presence", "people": []}
        ann.send(json.dumps({"here": here}))
        assert hear(ann)["people"][0]["person"] == "eve"
        (said,) = hear(eve)["people"]
        assert (said["person"], said["doing"]) == ("ann", "force-open")
        ann.close()
        assert hear(eve)["people"] == []


@pytest.mark.parametrize(
    "here",
    [
        {"targets": [["shop", "posts"]] * 21},
        {"targets": [["shop", "x" * 121]]},
        {"targets": [], "doing": "<b>"},
    ],
    ids=["too many", "too long", "no action"],
)
def test_a_malformed_presence_closes_the_socket(
    dashboard: Dashboard, cookie: str, here: dict[str, Any]
) -> None:
    with socket(dashboard, cookie) as opened:
        opened.send(json.dumps({"here": here}))
        assert hear(opened)["code"] == "malformed"
