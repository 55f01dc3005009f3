"""Two people, one form: who saves second is told what the first has changed, and overwrites nothing
unseen."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.test import Client, RequestFactory

from dashboard.access.models import Person
from dashboard.alerts.models import Channel, Route, Rule
from dashboard.common.admin_site import LockingAdmin
from dashboard.common.form_versions import SEEN
from dashboard.control import holdings
from dashboard.control.models import Override
from tests.operator_actions import force

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("static_files")]
SAID = "Somebody has changed"


@pytest.fixture
def root(django_user_model: type[Person]) -> Client:
    client = Client()
    client.force_login(django_user_model.objects.create_superuser("root"))
    return client


def form_of(client: Client, page: str) -> dict[str, str]:
    """The values of the form on a page, as a browser would send them."""
    text = client.get(page).content.decode()
    found: dict[str, str] = {}
    for tag in re.findall(r"<input[^>]*>", text):
        fields = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        is_off = fields.get("type") in ("checkbox", "radio") and "checked" not in tag
        if "name" in fields and fields.get("type") != "submit" and not is_off:
            found[fields["name"]] = unescape(fields.get("value", "on"))
    for name, more, options in re.findall(
        r'<select name="([^"]+)"([^>]*)>(.*?)</select>', text, re.S
    ):
        if "multiple" in more:
            continue
        chosen = re.search(r'value="([^"]*)"[^>]* selected', options)
        found[name] = unescape(chosen[1]) if chosen else ""
    assert SEEN in found, page
    return found


def test_every_form_of_the_admin_is_locked() -> None:
    request = RequestFactory().get("/")
    request.user = Person(is_superuser=True, is_active=True, is_staff=True)
    for model, registered in admin.site._registry.items():
        assert isinstance(registered, LockingAdmin), model
        row = model(pk=1)
        if registered.has_change_permission(request, row):
            form = registered.get_form(request, row, change=True)
            assert SEEN in form.base_fields, model


def test_a_channel(root: Client) -> None:
    channel = Channel.objects.create(name="ops", kind="slack", url="https://a.example/1")
    page = f"/admin/alerts/channel/{channel.pk}/change/"
    mine = form_of(root, page)
    Channel.objects.filter(pk=channel.pk).update(name="pager")
    mine["enabled"] = ""
    answer = root.post(page, mine)
    assert f"{SAID} name while you edited this" in answer.content.decode()
    channel.refresh_from_db()
    assert (channel.name, channel.enabled) == ("pager", True)


def test_what_was_looked_at_again_is_saved(root: Client) -> None:
    group = Group.objects.create(name="ops")
    page = f"/admin/auth/group/{group.pk}/change/"
    mine = form_of(root, page) | {"name": "mine"}
    Group.objects.filter(pk=group.pk).update(name="theirs")
    refused = root.post(page, mine).content.decode()
    assert SAID in refused
    mine[SEEN] = unescape(re.search(rf'name="{SEEN}" value="([^"]*)"', refused)[1])  # type: ignore[index]
    assert root.post(page, mine).status_code == 302
    group.refresh_from_db()
    assert group.name == "mine"


def test_a_route(root: Client) -> None:
    channel = Channel.objects.create(name="ops", kind="slack", url="https://a.example/1")
    route = Route.objects.create(name="all", channel=channel)
    page = f"/admin/alerts/route/{route.pk}/change/"
    mine = form_of(root, page) | {"name": "mine"}
    Route.objects.filter(pk=route.pk).update(service="payments")
    assert f"{SAID} service" in root.post(page, mine).content.decode()
    route.refresh_from_db()
    assert (route.name, route.service) == ("all", "payments")


def test_a_person_and_their_groups(root: Client) -> None:
    person, group = Person.objects.create(username="ada"), Group.objects.create(name="ops")
    page = f"/admin/access/person/{person.pk}/change/"
    mine = form_of(root, page) | {"first_name": "Ada"}
    person.groups.add(group)
    assert f"{SAID} groups" in root.post(page, mine).content.decode()
    person.refresh_from_db()
    assert (person.first_name, list(person.groups.all())) == ("", [group])


def test_an_alert_rule_and_its_parameters(root: Client) -> None:
    rule = Rule.objects.filter(kind="open_share").first() or Rule.objects.create(
        name="open", kind="open_share", params={"share_pct": 50, "instances": 1}
    )
    page = f"/alerts/{rule.pk}"
    mine = form_of(root, page) | {"name": "mine"}
    before = rule.name
    Rule.objects.filter(pk=rule.pk).update(params={**rule.params, "share_pct": 77})
    answer = root.post(page, mine)
    assert (answer.status_code, SAID in answer.content.decode()) == (422, True)
    rule.refresh_from_db()
    assert (rule.name, rule.params["share_pct"]) == (before, 77)


def test_an_override(root: Client, operator: Person) -> None:
    override = force(operator, "shop", "posts", "forced_open", "a drill", 600, None)
    seen = holdings.version(override)
    holdings.change_end(operator, override.id, 900, "longer", seen)
    ends = Override.objects.get().expires
    for mine in ({"minutes": "1"}, {"to": "root"}):
        root.post(f"/in-force/{override.id}", {"reason": "r", "seen": seen, **mine})
        kept = Override.objects.get()
        assert (kept.expires, kept.by) == (ends, operator.username)


def test_a_script_that_names_no_version_saves(root: Client) -> None:
    group = Group.objects.create(name="ops")
    body: dict[str, Any] = {"name": "by a script"}
    assert root.post(f"/admin/auth/group/{group.pk}/change/", body).status_code == 302
