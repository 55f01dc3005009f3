"""The pages: what they show, whom they let in, and that nothing in them runs that should not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from breakers.protocol import messages as wire
from dashboard.access.models import Person
from dashboard.fleet.models import Service
from dashboard.policies.models import BreakerPolicy
from tests.dashboard.web.showing import HOSTILE, showing

ROOT = Path(__file__).resolve().parents[3]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))

pytestmark = pytest.mark.usefixtures("static_files")


@pytest.fixture
def client(operator: Person) -> Client:
    client = Client()
    client.force_login(operator)
    return client


@pytest.fixture
def shown() -> Iterator[Any]:
    with showing() as show:
        yield show


def test_an_empty_wall_explains_how_to_connect_a_service(client: Client) -> None:
    page = client.get("/").content.decode()
    assert "No service has reported yet" in page
    assert "create_token" in page


def test_the_wall_carries_its_first_view(client: Client, shown: Any) -> None:
    Service.objects.create(name="shop")
    shown("shop", wire.BreakerReport(name="posts", state="open"))
    page = client.get("/").content.decode()
    assert '"name": "posts"' in page
    assert "No service has reported yet" in page  # there for the script, and hidden
    assert 'class="empty" hidden' in page


def test_hostile_names_are_text(client: Client, shown: Any) -> None:
    shown(HOSTILE, wire.BreakerReport(name=HOSTILE, state="open", cause=HOSTILE))
    BreakerPolicy.objects.create(service=HOSTILE, breaker=HOSTILE)
    for url in ("/", reverse("breaker", args=[HOSTILE, HOSTILE])):
        page = client.get(url)
        assert page.status_code == 200
        assert HOSTILE not in page.content.decode()


@pytest.mark.parametrize("name", ["a/b", "50%", "?x=1#y", "ünïcode ☂", "../..", "a b"])
def test_any_name_has_an_address(client: Client, shown: Any, name: str) -> None:
    shown(name, wire.BreakerReport(name=name, state="closed"))
    page = client.get(reverse("breaker", args=[name, name]))
    assert page.status_code == 200
    assert page.context["breaker"] == page.context["service"] == name


def test_the_breaker_page_says_where_each_field_comes_from(client: Client) -> None:
    BreakerPolicy.objects.create(
        service="shop", breaker="posts", declared={"timeout": 0.5}, fields={"retries": 1}
    )
    page = client.get("/services/shop/breakers/posts")
    sources = {row.spec.name: row.source for row in page.context["policy"]}
    assert sources["timeout"] == "code"
    assert sources["retries"] == "breaker"


def test_a_viewer_is_shown_no_act(viewer: Person) -> None:
    BreakerPolicy.objects.create(service="shop", breaker="posts")
    client = Client()
    client.force_login(viewer)
    for url in ("/", "/services/shop/breakers/posts"):
        assert b"data-act" not in client.get(url).content


@pytest.mark.django_db
def test_a_failed_login_does_not_reveal_which_field_was_wrong() -> None:
    answer = Client().post("/login", {"login": "nobody", "password": "wrong"})
    assert answer.status_code == 200
    assert b"username and/or password you specified are not correct" in answer.content


def test_every_page_forbids_inline_scripts_and_styles(client: Client) -> None:
    policy = client.get("/")["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'self'" in policy


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_an_inline_handler_or_style(template: Path) -> None:
    html = template.read_text()
    assert not re.search(r"\son[a-z]+=|\sstyle=|<style|javascript:", html, re.I)
    assert not re.search(r"<script(?![^>]*\bsrc=)", html)


@pytest.mark.parametrize("path", sorted((ROOT / "static/js").glob("*.js")), ids=lambda p: p.name)
def test_no_script_writes_html_but_the_one_that_shows_our_own_forms(path: Path) -> None:
    text = path.read_text()
    assert "innerHTML" not in text
    assert "eval(" not in text
    assert path.name == "act.js" or "createContextualFragment" not in text


def test_imports_of_modules_are_rewritten_to_hashed_names(client: Client) -> None:
    page = client.get("/").content.decode()
    address = re.search(r'type="module" src="/static/(js/wall\.[0-9a-f]{12}\.js)"', page)
    assert address
    script = (settings.STATIC_ROOT / address[1]).read_text()
    imports = re.findall(r'^import[^;]* from "\./([^"]+)"', script, re.M)
    assert imports
    assert all(re.fullmatch(r"\w+\.[0-9a-f]{12}\.js", each) for each in imports)


class TestViews:
    def test_a_view_is_kept_shown_and_forgotten(self, client: Client) -> None:
        kept = client.post("/views", {"name": " Payments  at night", "query": "?q=service%3Apay"})
        assert kept.json()["query"] == "q=service%3Apay"
        page = client.get("/").content.decode()
        assert 'data-name="Payments at night"' in page
        assert client.post(f"/views/{kept.json()['id']}/forget").status_code == 204
        assert 'data-name="Payments' not in client.get("/").content.decode()

    def test_a_name_taken_again_is_replaced(self, client: Client) -> None:
        first = client.post("/views", {"name": "mine", "query": "q=a"}).json()
        assert client.post("/views", {"name": "mine", "query": "q=b"}).json()["id"] == first["id"]

    @pytest.mark.parametrize("name", ["", "  ", "x" * 61])
    def test_a_view_needs_a_name(self, client: Client, name: str) -> None:
        answer = client.post("/views", {"name": name, "query": ""})
        assert answer.status_code == 400
        assert "name" in answer.json()["errors"]

    def test_there_is_an_end_to_them(self, client: Client) -> None:
        for n in range(50):
            assert client.post("/views", {"name": str(n), "query": ""}).status_code == 200
        assert client.post("/views", {"name": "50", "query": ""}).status_code == 400
        assert client.post("/views", {"name": "49", "query": "q=x"}).status_code == 200

    def test_nobody_elses_views_are_seen_or_forgotten(self, client: Client, viewer: Person) -> None:
        kept = client.post("/views", {"name": "mine", "query": ""}).json()
        other = Client()
        other.force_login(viewer)
        assert 'data-name="mine"' not in other.get("/").content.decode()
        assert other.post(f"/views/{kept['id']}/forget").status_code == 404


def test_a_large_wall_omits_sparklines_from_the_page(client: Client, shown: Any) -> None:
    many = [wire.BreakerReport(name=f"b{n}", state="closed") for n in range(600)]
    shown("shop", *many)
    snapshot = client.get("/").context["snapshot"]
    assert snapshot["services"][0]["breakers"][0]["spark"] == []
