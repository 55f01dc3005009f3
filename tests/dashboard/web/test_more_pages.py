"""The pages beside the wall: service, map, timeline, TV, and the status page behind its link."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import AsyncClient, Client
from django.urls import reverse
from django.utils import timezone

from breakers.protocol import messages as wire
from dashboard.access.models import Person, StatusLink
from dashboard.access.status_links import create_status_link
from dashboard.fleet.models import Service
from dashboard.history.models import Transition
from tests.dashboard.web.showing import HOSTILE, showing

pytestmark = [pytest.mark.usefixtures("static_files"), pytest.mark.django_db]
NAMES = ["a/b", "50%", "?x=1#y", "ünïcode ☂", "../..", "a b", "x" * 120, HOSTILE]


@pytest.fixture(autouse=True)
def shown() -> Iterator[Any]:
    cache.clear()
    with showing() as show:
        yield show


@pytest.fixture
def client(operator: Person) -> Client:
    client = Client()
    client.force_login(operator)
    return client


@pytest.fixture
def admin() -> Person:
    return Person.objects.create(username="ada", is_staff=True, is_superuser=True)


PAGES = ["map", "tv", "timeline"]


@pytest.mark.parametrize("page", PAGES)
def test_anonymous_users_are_redirected_to_login(page: str) -> None:
    answer = Client().get(reverse(page))
    assert answer.status_code == 302
    assert answer["Location"].startswith("/login")


@pytest.mark.parametrize("page", PAGES)
def test_a_viewer_is_shown_every_page(viewer: Person, page: str) -> None:
    client = Client()
    client.force_login(viewer)
    assert client.get(reverse(page)).status_code == 200


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_text_on_every_page(client: Client, shown: Any, name: str) -> None:
    shown(name, wire.BreakerReport(name=name, state="open", cause=HOSTILE))
    Service.objects.create(name=name)
    Transition.objects.create(
        service=name, breaker=name, instance=name, boot="b", number=1, key=1,
        at=timezone.now().timestamp() - 5, before="closed", after="open", cause=HOSTILE,
    )  # fmt: skip
    urls = [*map(reverse, PAGES), reverse("service", args=[name])]
    urls.append(f"{reverse('timeline')}?range=1h&service={HOSTILE}&who={HOSTILE}")
    for url in urls:
        page = client.get(url)
        assert page.status_code == 200, url
        assert HOSTILE not in page.content.decode()


def test_a_service_that_never_reported_is_not_found(client: Client) -> None:
    assert client.get("/services/nobody").status_code == 404


def test_the_service_page_says_who_calls_it(client: Client, shown: Any) -> None:
    shown("api", wire.BreakerReport(name="posts", state="closed"))
    shown("web", wire.BreakerReport(name="api", state="open"))
    page = client.get("/services/api")
    assert [each["service"] for each in page.context["callers"]] == ["web"]


# -- The timeline ---------------------------------------------------------------------------------


def at(seconds_ago: float, **more: Any) -> Transition:
    fields = {"service": "shop", "breaker": "posts", "before": "closed", "after": "open"} | more
    number = Transition.objects.count() + 1
    return Transition.objects.create(
        instance="one",
        boot="b",
        number=number,
        key=number,
        at=timezone.now().timestamp() - seconds_ago,
        **fields,
    )


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("range=yesterday", "range"),
        ("range=custom", "since"),
        ("range=custom&since=nonsense", "since"),
        ("range=custom&since=2026-01-02T00:00&until=2026-01-01T00:00", "until"),
        ("kind=gossip", "kind"),
        ("service=" + "x" * 121, "service"),
    ],
)
def test_a_wrong_filter_is_said_at_its_field(client: Client, query: str, field: str) -> None:
    assert client.get(f"/timeline?{query}").status_code == 422
    answer = client.get(f"/timeline/events?{query}")
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [field]
    assert client.get(f"/timeline.csv?{query}").status_code == 422


def test_older_events_are_a_page_further(client: Client) -> None:
    for n in range(205):
        at(20.0 * n, breaker=f"b{n}")
    first = client.get("/timeline/events").json()
    assert len(first["events"]) == 200
    rest = client.get(f"/timeline/events?before={first['more']}").json()
    assert [each["breaker"] for each in rest["events"]] == [f"b{n}" for n in range(200, 205)]
    assert rest["more"] is None


def test_a_custom_range_is_in_utc(client: Client) -> None:
    Transition.objects.create(
        service="s", breaker="b", instance="i", boot="b", number=1, key=1,
        at=1_767_229_200.0, before="closed", after="open",
    )  # fmt: skip
    inside = "range=custom&since=2026-01-01T00:59:59&until=2026-01-01T01:00:01"
    outside = "range=custom&since=2026-01-01T01:00:01&until=2026-01-01T02:00"
    assert len(client.get(f"/timeline/events?{inside}").json()["events"]) == 1
    assert client.get(f"/timeline/events?{outside}").json()["events"] == []


@pytest.mark.parametrize("format", ["json", "csv", "md"])
@pytest.mark.django_db(transaction=True)
async def test_exports_are_streamed_files(format: str, django_user_model: Any) -> None:
    person = await django_user_model.objects.acreate(username="vera", is_superuser=True)
    await Transition.objects.acreate(
        service="shop", breaker="posts", instance="one", boot="b", number=1, key=1,
        at=timezone.now().timestamp() - 5, before="closed", after="open",
    )  # fmt: skip
    client = AsyncClient()
    await client.aforce_login(person)
    answer: Any = await client.get(f"/timeline.{format}?range=1h&service=shop")
    assert answer.streaming
    assert f".{format}" in answer["Content-Disposition"]
    text = b"".join([piece async for piece in answer.streaming_content]).decode()
    assert "posts" in text
    if format == "json":
        assert json.loads(text)["count"] == 1


@pytest.mark.parametrize("path", ["/", "/timeline", "/timeline/events", "/api/v1/fleet", "/map"])
def test_an_account_without_a_role_sees_nothing(shown: Any, path: str) -> None:
    client = Client()
    client.force_login(Person.objects.create(username="newcomer"))
    assert client.get(path).status_code == 403
    assert client.get("/services/shop").status_code == 403


# -- The status page ------------------------------------------------------------------------------


def link(admin: Person, services: list[str] | None = None) -> str:
    raw = create_status_link(admin, "the board", timezone.now() + timedelta(days=1), services)
    return f"/status/{raw}"


def test_the_status_page_needs_no_login_and_exposes_no_internals(admin: Person, shown: Any) -> None:
    shown("shop", wire.BreakerReport(name="posts-secret", state="open", cause="secret cause"))
    url = link(admin)
    for path in (url, f"{url}/now"):
        answer = Client().get(path)
        text = answer.content.decode()
        assert answer.status_code == 200
        assert "shop" in text
        assert "Limited" in text
        assert "secret" not in text
        assert "one" not in json.dumps(answer.context["shown"]["services"] if answer.context else 0)
        assert answer["Cache-Control"] == "no-store"
        assert answer["Referrer-Policy"] == "no-referrer"
        assert answer["X-Robots-Tag"] == "noindex"


def test_the_status_page_shows_the_services_of_its_link(admin: Person, shown: Any) -> None:
    shown("shop", wire.BreakerReport(name="posts", state="closed"))
    shown("hidden", wire.BreakerReport(name="posts", state="open"))
    now = Client().get(f"{link(admin, ['shop', 'later'])}/now").json()
    assert {each["name"]: each["level"] for each in now["services"]} == {
        "shop": "working",
        "later": "silent",
    }


def test_it_shows_when_the_disruption_began(admin: Person, shown: Any) -> None:
    shown("shop", wire.BreakerReport(name="posts", state="open"))
    began = at(120.0)
    at(60.0, before="open", after="half_open")
    at(59.0, before="half_open", after="open")
    (service,) = Client().get(f"{link(admin)}/now").json()["services"]
    assert service["since"] == pytest.approx(began.at)


def test_a_service_of_a_thousand_breakers_shows_it_too(admin: Person, shown: Any) -> None:
    states = ["open", *["closed"] * 999]
    shown("shop", *(wire.BreakerReport(name=f"b{n}", state=s) for n, s in enumerate(states)))
    began = at(60.0, breaker="b0")
    at(30.0, service="web", breaker="b0", before="half_open")
    (service,) = Client().get(f"{link(admin)}/now").json()["services"]
    assert service["since"] == pytest.approx(began.at)


@pytest.mark.parametrize("end", ["revoked", "expires"])
def test_an_ended_link_shows_nothing(admin: Person, shown: Any, end: str) -> None:
    shown("shop", wire.BreakerReport(name="posts", state="open"))
    url = link(admin)
    StatusLink.objects.update(**{end: timezone.now()})
    for path in (url, f"{url}/now", "/status/nonsense", "/status/nonsense/now"):
        answer = Client().get(path)
        assert answer.status_code == 404
        assert b"shop" not in answer.content


def test_a_status_link_opens_nothing_else(admin: Person) -> None:
    client = Client()
    client.get(link(admin))
    assert client.get("/").status_code == 302
    assert client.get("/api/v1/fleet").status_code == 302


# -- As an app, and for those who build it --------------------------------------------------------


def test_the_manifest_names_what_is_there() -> None:
    answer = Client().get("/manifest.webmanifest")
    assert answer["Content-Type"] == "application/manifest+json"
    manifest = answer.json()
    assert manifest["display"] == "standalone"
    assert {each["purpose"] for each in manifest["icons"]} == {"any", "maskable"}
    for each in manifest["icons"]:
        assert (settings.STATIC_ROOT / each["src"].removeprefix("/static/")).exists()


def test_the_worker_keeps_the_offline_page_and_nothing_of_the_fleet(shown: Any) -> None:
    shown("secret", wire.BreakerReport(name="posts", state="open"))
    script = Client().get("/worker.js")
    assert script["Content-Type"] == "text/javascript"
    kept = re.findall(r'^  "(.+)",$', script.content.decode(), re.M)
    assert kept[0] == "/offline"
    for path in kept[1:]:
        path = path.replace("\\u002D", "-").removeprefix("/static/")
        assert (settings.STATIC_ROOT / path).exists()
    assert b"secret" not in Client().get("/offline").content


def test_the_styleguide_is_for_development_only(client: Client, settings: Any) -> None:
    assert client.get("/styleguide").status_code == 404
    settings.DEBUG = True
    page = client.get("/styleguide")
    assert page.status_code == 200
    assert "--state-open" in page.content.decode()
