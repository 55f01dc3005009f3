"""Logging in: one page, throttled; sessions that end; the first administrator."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client

from dashboard.access import session_limits
from dashboard.access.models import AuditEntry, Person
from dashboard.access.people import keep_person

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def cheap_hashes(settings: Any, static_files: None) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    cache.clear()


@pytest.fixture
def ada(cheap_hashes: None) -> Person:
    person = keep_person("ada", "operator")
    person.password = make_password(PASSWORD)
    person.save()
    return person


def log_in(client: Client, password: str = PASSWORD, name: str = "ada", **extra: str) -> int:
    form = {"login": name, "password": password}
    return client.post("/login", form, **extra).status_code  # type: ignore[arg-type]


def test_a_log_in_and_out_is_recorded(ada: Person) -> None:
    client = Client(REMOTE_ADDR="192.0.2.1")
    assert log_in(client) == 302
    client.post("/logout")
    assert log_in(client, "wrong") == 200
    rows = list(AuditEntry.objects.order_by("number").values_list("act", "by", "address"))
    assert rows[-3:] == [
        ("logged in", "ada", "192.0.2.1"),
        ("logged out", "ada", "192.0.2.1"),
        ("login failed", "switchgear", "192.0.2.1"),
    ]


@pytest.mark.parametrize("address", ["/admin/", "/admin/login/", "/account/login/"])
def test_every_log_in_leads_to_one_page(address: str) -> None:
    page = Client().get(address, follow=True)
    assert page.redirect_chain[-1][0].partition("?")[0] == "/login"


@pytest.mark.parametrize("page", ["/login", "/account/login/", "/admin/login/"])
def test_brute_force_at_an_account_is_stopped(ada: Person, page: str) -> None:
    for n in range(8):
        Client().post(
            "/login", {"login": "ada", "password": f"guess {n}"}, REMOTE_ADDR=f"192.0.2.{n}"
        )
        Client().post(page, {"username": "ada", "password": f"guess {n}"})
    # The right password does not help any more, wherever it comes from.
    assert log_in(Client(), REMOTE_ADDR="198.51.100.1") in (200, 429)
    assert log_in(Client(), name="other", REMOTE_ADDR="198.51.100.2") == 200


def test_brute_force_from_an_address_is_stopped(ada: Person) -> None:
    statuses = [log_in(Client(), "guess", name=f"name{n}") for n in range(40)]
    assert log_in(Client()) != 302
    assert 429 in statuses or set(statuses) == {200}


def test_a_session_ends_after_its_longest_time(
    ada: Person, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SESSION_MAX_S, settings.SESSION_IDLE_S = 1000.0, 300.0
    now = [1_000_000.0]
    monkeypatch.setattr(session_limits.time, "time", lambda: now[0])
    client = Client()
    log_in(client)
    for _ in range(4):
        assert client.get("/sessions").status_code == 200
        now[0] += 240
    assert client.session.get_expiry_age() <= 300
    now[0] += 240
    assert client.get("/sessions").status_code == 302


def test_a_session_ends_after_an_idle_time(
    ada: Person, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SESSION_IDLE_S = 300.0
    now = [1_000_000.0]
    monkeypatch.setattr(session_limits.time, "time", lambda: now[0])
    client = Client()
    log_in(client)
    client.get("/sessions")
    now[0] += 301
    assert client.get("/sessions").status_code == 302


def test_sessions_are_revoked_one_by_one_and_all(ada: Person) -> None:
    clients = [Client(HTTP_USER_AGENT=f"browser {n}") for n in range(3)]
    for each in clients:
        log_in(each)
        each.get("/sessions")
    page = clients[0].get("/sessions").content.decode()
    assert all(f"browser {n}" in page for n in range(3))
    (first, *_) = re.findall(r"/sessions/(\d+)/revoke", page)
    clients[0].post(f"/sessions/{first}/revoke")
    assert [each.get("/sessions").status_code for each in clients].count(302) == 1
    clients[0].post("/sessions/revoke")
    assert [each.get("/sessions").status_code for each in clients] == [200, 302, 302]
    assert AuditEntry.objects.filter(act__startswith="session").count() == 2


def test_nobody_signs_up() -> None:
    page = Client().post("/account/signup/", {"username": "eve"})
    assert page.status_code in (200, 302, 403)
    assert not Person.objects.exists()


class TestFirstAdmin:
    def link(self) -> str:
        out = StringIO()
        call_command("first_admin", stdout=out)
        return out.getvalue().split("8000")[-1].strip()

    def test_the_link_creates_one_administrator_and_then_is_gone(self) -> None:
        link, client = self.link(), Client()
        weak = client.post(link, {"username": "root", "password": "password"})
        assert b"too common" in weak.content
        assert client.post(link, {"username": "root", "password": PASSWORD}).status_code == 302
        root = Person.objects.get()
        assert (root.username, root.is_superuser) == ("root", True)
        assert client.get("/sessions").status_code == 200
        assert Client().get(link).status_code == 404
        assert "accounts already" in self.link()

    def test_a_forged_link_creates_nobody(self) -> None:
        forged = self.link()[:-2] + "xx"
        post = Client().post(forged, {"username": "root", "password": PASSWORD})
        assert post.status_code == 404
        assert not Person.objects.exists()
