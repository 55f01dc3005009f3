"""The Django admin as people meet it."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from breakers.circuit.policy import FIELDS
from dashboard.access.models import AuditEntry, Person, ServiceToken
from dashboard.access.people import keep_person
from dashboard.access.service_tokens import Grant, authenticate_token
from dashboard.fleet.services import revision
from dashboard.policies.models import BreakerPolicy, PolicyVersion
from dashboard.policies.services import note_declared, save
from tests.operator_actions import force

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("static_files")]


def logged_in(person: Person) -> Client:
    client = Client()
    client.force_login(person)
    return client


@pytest.fixture
def client(operator: Person) -> Client:
    return logged_in(operator)


@pytest.fixture
def posts() -> BreakerPolicy:
    note_declared({"shop": {"posts": {"timeout": 0.5, "retries": 2}}})
    return BreakerPolicy.objects.get()


def url(posts: BreakerPolicy) -> str:
    return reverse("admin:policies_breakerpolicy_change", args=[posts.pk])


INLINE = {"versions-TOTAL_FORMS": "0", "versions-INITIAL_FORMS": "0"}


def test_an_operator_changes_a_timeout(client: Client, posts: BreakerPolicy) -> None:
    page = client.get(url(posts)).content.decode()
    assert 'name="timeout"' in page
    assert "Inherited: 500 ms (code)" in page
    answer = client.post(url(posts), {**INLINE, "timeout": "0.05", "reason": "a test"})
    assert answer.status_code == 302
    version = PolicyVersion.objects.get()
    assert (version.fields, version.by, version.reason) == ({"timeout": 0.05}, "operator", "a test")
    assert revision("shop") == 1
    assert AuditEntry.objects.get().act == "policy"


def test_clearing_a_field_goes_back_to_code(
    client: Client, posts: BreakerPolicy, operator: Person
) -> None:
    save(operator, "shop", "posts", {"timeout": 0.05, "retries": 5})
    client.post(url(posts), {**INLINE, "timeout": "", "retries": "5"})
    posts.refresh_from_db()
    assert posts.fields == {"retries": 5}


def test_saving_without_a_change_is_no_version(client: Client, posts: BreakerPolicy) -> None:
    answer = client.post(url(posts), INLINE, follow=True)
    assert "Nothing has changed" in answer.content.decode()
    assert not PolicyVersion.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("timeout", "0"),
        ("timeout", "-1"),
        ("timeout", "5000"),
        ("timeout", "soon"),
        ("timeout", "nan"),
        ("retries", "0"),
        ("retries", "1.5"),
        ("success_threshold", "0"),
        ("window_type", "sliding"),
        ("slow_call_duration", "-3"),
    ],
)
def test_what_is_wrong_is_said_at_the_very_field(
    client: Client, posts: BreakerPolicy, field: str, value: str
) -> None:
    answer = client.post(url(posts), {**INLINE, field: value})
    assert answer.status_code == 200
    assert list(answer.context["adminform"].form.errors) == [field]
    assert not PolicyVersion.objects.exists()


def test_a_policy_can_be_made_before_the_breaker_is_seen(client: Client) -> None:
    add = reverse("admin:policies_breakerpolicy_add")
    body = {**INLINE, "service": "shop", "breaker": "new", "timeout": "1.5"}
    assert client.get(add).status_code == 200
    assert client.post(add, body).status_code == 302
    assert BreakerPolicy.objects.get(breaker="new").fields == {"timeout": 1.5}


def test_one_breaker_has_one_policy(client: Client, posts: BreakerPolicy) -> None:
    body = {**INLINE, "service": "shop", "breaker": "posts", "timeout": "1.5"}
    answer = client.post(reverse("admin:policies_breakerpolicy_add"), body)
    assert "There is a policy for this breaker" in answer.content.decode()


def test_every_field_of_the_library_can_be_edited(client: Client, posts: BreakerPolicy) -> None:
    page = client.get(url(posts)).content.decode()
    assert all(f'name="{name}"' in page for name in FIELDS)


def test_nothing_can_be_deleted(client: Client, posts: BreakerPolicy) -> None:
    delete = reverse("admin:policies_breakerpolicy_delete", args=[posts.pk])
    assert client.post(delete, {"post": "yes"}).status_code == 403


def test_a_viewer_cannot_change_a_policy(viewer: Person, posts: BreakerPolicy) -> None:
    viewer.is_staff = True
    viewer.save()
    client = logged_in(viewer)
    assert client.post(url(posts), {**INLINE, "timeout": "1"}).status_code == 403
    assert not PolicyVersion.objects.exists()


def test_an_administrator_makes_a_token_and_sees_it_once() -> None:
    client = logged_in(keep_person("root", "admin"))
    add = reverse("admin:access_servicetoken_add")
    page = client.post(add, {"service": "shop", "name": "pod"}, follow=True).content.decode()
    raw = page.split("not shown again: ")[1].split("<")[0].strip()
    assert authenticate_token(raw) == Grant("shop")
    listed = client.get(reverse("admin:access_servicetoken_changelist")).content.decode()
    assert raw not in listed
    chosen = {"action": "revoke", "_selected_action": [ServiceToken.objects.get().pk]}
    client.post(reverse("admin:access_servicetoken_changelist"), chosen)
    assert authenticate_token(raw) is None


@pytest.mark.parametrize("role", ["operator", "admin"])
def test_no_page_of_the_admin_fails(role: str, posts: BreakerPolicy) -> None:
    person = keep_person("somebody", [role, "policy editor"])
    override = force(person, "shop", "posts", "forced_open", "a drill", 60)
    save(person, "shop", "posts", {"timeout": 1})
    client = logged_in(person)
    pages: list[tuple[str, list[Any]]] = [
        ("index", []),
        ("policies_breakerpolicy_changelist", []),
        ("policies_breakerpolicy_change", [posts.pk]),
        ("policies_breakerpolicy_history", [posts.pk]),
        ("control_override_changelist", []),
        ("control_override_change", [override.pk]),
    ]
    if role == "admin":
        pages += [
            ("access_auditentry_changelist", []),
            ("access_auditentry_change", [AuditEntry.objects.all()[0].pk]),
        ]
        pages += [("access_person_changelist", []), ("access_person_change", [person.pk])]
    for name, args in pages:
        assert client.get(reverse(f"admin:{name}", args=args), {"q": ""}).status_code == 200, name
