"""`switchgear login` shows a code; a person allows or denies it on the page."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.examples.running import ROOT, http
from tests.security.conftest import Live


@pytest.fixture(scope="module")
def pages(live: Live) -> None:
    live.dashboard.manage("collectstatic", "--noinput", "-v0")


class Login:
    """The command, which waits for a person."""

    def __init__(self, live: Live, home: Path) -> None:
        self.file = home / "config.json"
        env = {**os.environ, "SWITCHGEAR_CONFIG": str(self.file)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "breakers.cli", "login", live.url],
            env=env, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stderr is not None
        self.address = self._process.stderr.readline().split()[-1]
        self.code = self._process.stderr.readline().split()[-1]

    def ended(self) -> tuple[int, str]:
        out, err = self._process.communicate(timeout=60)
        return self._process.returncode, out + err


def decide(live: Live, address: str, code: str, decision: str) -> str:
    """Type a code on the page, and press a button."""
    cookie = {"Cookie": live.cookies["operator"]}
    with httpx.Client(trust_env=False, headers=cookie, timeout=30) as client:
        page = client.get(address)
        token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', page.text)
        assert token, page.status_code
        csrf = {"csrfmiddlewaretoken": token[1]}
        headers = {"Cookie": f"{cookie['Cookie']}; csrftoken={page.cookies['csrftoken']}"}
        asked = client.post(address, data={**csrf, "code": code}, headers=headers).text
        form = {**csrf, "code": code, "decision": decision}
        said = client.post(address, data=form, headers=headers).text
        return asked + said


def test_an_allowed_code_logs_in_as_the_person_who_allowed_it(
    live: Live, pages: None, tmp_path: Path
) -> None:
    login = Login(live, tmp_path)
    said = decide(live, login.address, login.code.lower(), "allow")
    assert "asks to act for you: operate, read" in said
    assert "Allowed" in said
    code, out = login.ended()
    assert code == 0, out
    assert "Logged in as operator" in out
    token = json.loads(login.file.read_text())["default"]["token"]
    me = http.get(f"{live.url}/api/v1/me", headers={"Authorization": f"Bearer {token}"}).json()
    assert (me["username"], me["scopes"]) == ("operator", ["operate", "read"])


def test_a_denied_code_logs_nobody_in(live: Live, pages: None, tmp_path: Path) -> None:
    login = Login(live, tmp_path)
    assert "Denied" in decide(live, login.address, login.code, "deny")
    code, out = login.ended()
    assert code == 3
    assert "denied" in out
    assert not login.file.exists()


def test_a_code_serves_once_and_unknown_ones_not_at_all(live: Live, pages: None) -> None:
    api = f"{live.url}/api/v1/device"
    begun = http.post(f"{api}/code", json={"name": "t", "scopes": ["read"]}).json()
    device = {"device_code": begun["device_code"]}
    waiting = http.post(f"{api}/token", json=device)
    assert (waiting.status_code, waiting.json()["code"]) == (400, "authorization_pending")
    page = begun["verification_uri"]
    assert "No command line waits" in decide(live, page, "BBBB-BBBB", "allow")
    decide(live, page, begun["user_code"], "allow")
    assert http.post(f"{api}/token", json=device).json()["token"].startswith("swp_")
    again = http.post(f"{api}/token", json=device)
    assert again.json()["code"] == "expired_token"
    assert "No command line waits" in decide(live, page, begun["user_code"], "allow")
