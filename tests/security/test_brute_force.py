"""Guessing passwords at a running dashboard is stopped at either login: the page, and the admin's,
which leads there; and so is guessing codes and tokens."""

from __future__ import annotations

import re
from typing import Any, Final

import httpx
import pytest

from tests.security.conftest import Live

PASSWORD: Final = "a password that is right"
GUESSES: Final = 12
_CREATE = """
from dashboard.access.people import keep_person
keep_person({name!r}, "admin", {password!r})
print("true")
"""


def login(client: httpx.Client, path: str, name: str, password: str) -> httpx.Response:
    """Fill in the form to which `path` leads."""
    page = client.get(path)
    found = re.search(r'csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert found, page.status_code
    form = {"login": name, "password": password, "csrfmiddlewaretoken": found[1]}
    return client.post(page.url.path, data=form, follow_redirects=False)


def visitor(live: Live) -> httpx.Client:
    return httpx.Client(base_url=live.url, trust_env=False, follow_redirects=True, timeout=60)


@pytest.fixture(scope="module")
def passwords(live: Live) -> None:
    live.dashboard.manage("collectstatic", "--noinput", "-v0")
    for name in ("target0", "target1", "bystander"):
        live.dashboard.python(_CREATE.format(name=name, password=PASSWORD))


@pytest.mark.parametrize(("number", "door"), enumerate(["/login", "/admin/"]))
def test_guesses_are_stopped_at_either_login(
    live: Live, passwords: None, number: int, door: str
) -> None:
    name = f"target{number}"
    answers: list[Any] = []
    for n in range(GUESSES):
        with visitor(live) as guesser:
            answers.append(login(guesser, door, name, f"guess {n}").status_code)
    assert 302 not in answers
    # Then even the right password is not tried any more, whoever sends it.
    with visitor(live) as guesser:
        assert login(guesser, door, name, PASSWORD).status_code != 302
        assert guesser.get("/sessions").url.path == "/login"


def test_guesses_of_tokens_are_stopped(live: Live) -> None:
    with visitor(live) as guesser:
        statuses = [
            guesser.get("/api/v1/me", headers={"Authorization": f"Bearer swp_{n:043}"}).status_code
            for n in range(80)
        ]
    assert statuses[0] == 401
    assert statuses[-1] == 429
