"""Headers and cookies of a dashboard behind HTTPS, at every door."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from breakers.protocol.paths import OPENAPI, REPORTS, SCHEMA
from tests.dashboard.child_process import Embedded, embedded_dashboard

HTTPS = {"X-Forwarded-Proto": "https"}
PASSWORD = "a password for the tests"


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    home = tmp_path_factory.mktemp("secure")
    with embedded_dashboard(home, SWITCHGEAR_HTTPS="1") as dashboard:
        dashboard.manage("collectstatic", "--noinput", "-v0")
        file = Path(home / "password")
        file.write_text(PASSWORD)
        dashboard.manage("create_person", "eve", "--role", "viewer", "--password-file", str(file))
        yield dashboard


@pytest.fixture
def visitor(secure: Embedded) -> Iterator[httpx.Client]:
    """What a proxy sends that ends HTTPS before the dashboard."""
    with httpx.Client(base_url=secure.url, trust_env=False, headers=HTTPS, timeout=30) as client:
        yield client


@pytest.mark.parametrize("path", ["/login", "/healthz", "/api/v1/me", REPORTS, SCHEMA, OPENAPI])
def test_every_door_demands_https_from_now_on(visitor: httpx.Client, path: str) -> None:
    answer = visitor.get(path)
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_the_agents_socket_demands_it_too(secure: Embedded) -> None:
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(secure.url.replace("http", "ws") + "/agent/v1", proxy=None),
    ):
        pytest.fail("was let in without a token")
    assert "max-age=" in refused.value.response.headers["Strict-Transport-Security"]


def log_in(visitor: httpx.Client) -> httpx.Response:
    page = visitor.get("/login")
    token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert token
    cookies = "; ".join(each.partition(";")[0] for each in page.headers.get_list("set-cookie"))
    form = {"login": "eve", "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
    origin = str(visitor.base_url).replace("http:", "https:").rstrip("/")
    headers = {"Cookie": cookies, "Origin": origin, "Referer": f"{origin}/login"}
    return visitor.post("/login", data=form, headers=headers)


def test_cookies_are_bound_to_the_host_and_out_of_reach_of_scripts(visitor: httpx.Client) -> None:
    answer = log_in(visitor)
    assert answer.status_code == 302
    cookies = answer.headers.get_list("set-cookie")
    assert {each.partition("=")[0] for each in cookies} == {
        "__Host-sessionid", "__Host-csrftoken",
    }  # fmt: skip
    for each in cookies:
        for wanted in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
            assert wanted in each, each
        assert "Domain" not in each


@pytest.mark.parametrize(
    "path", ["/", "/map", "/in-force", "/audit", "/policies", "/sessions", "/tokens", "/incidents"]
)
def test_pages_with_data_are_stored_nowhere(visitor: httpx.Client, path: str) -> None:
    cookies = log_in(visitor).headers.get_list("set-cookie")
    mine = "; ".join(each.partition(";")[0] for each in cookies)
    answer = visitor.get(path, headers={"Cookie": mine})
    assert answer.status_code == 200
    assert "no-store" in answer.headers["Cache-Control"]
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
