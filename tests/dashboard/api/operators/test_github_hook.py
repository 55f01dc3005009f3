"""GitHub's signed webhooks and GitLab's secret token add markers."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from dashboard.access.models import AuditEntry, Person
from dashboard.access.personal_tokens import create_personal_token
from dashboard.alerts.models import Marker

pytestmark = pytest.mark.django_db
SECRET = "shared with GitHub"
DEPLOYMENT = {"repository": {"name": "shop"}, "deployment": {"id": 1, "ref": "v124"}}


def deliver(body: Any, secret: str = SECRET, **headers: str) -> int:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    mac = hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    sent = {"HTTP_X_HUB_SIGNATURE_256": f"sha256={mac}", **headers}
    # As from outside: CSRF is checked, and nobody is logged in.
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/hooks/github", raw, content_type="application/json", **sent)  # type: ignore[arg-type]
    return answer.status_code


@pytest.fixture(autouse=True)
def secret(settings: Any) -> None:
    settings.GITHUB_WEBHOOK_SECRET = SECRET


def test_a_signed_delivery_becomes_a_marker_once() -> None:
    assert [deliver(DEPLOYMENT) for _ in range(2)] == [201, 200]
    marker = Marker.objects.get()
    assert (marker.text, marker.service, marker.by) == ("deploy of shop v124", "shop", "github")
    assert AuditEntry.objects.filter(act="marker added").count() == 1


def test_other_events_are_accepted_and_ignored() -> None:
    assert deliver({"zen": "Keep it logically awesome."}) == 202
    release = {"repository": {"name": "shop"}, "release": {"id": 2, "tag_name": "v125"}}
    assert deliver({"action": "created", **release}) == 202
    assert not Marker.objects.exists()
    assert deliver({"action": "published", **release}) == 201


@pytest.mark.parametrize("signature", ["", "sha256=", "sha256=" + "0" * 64, "sha1=abc", "ü"])
def test_a_delivery_that_is_not_signed_with_the_secret_is_refused(signature: str) -> None:
    assert deliver(DEPLOYMENT, HTTP_X_HUB_SIGNATURE_256=signature) == 401
    assert deliver(DEPLOYMENT, secret="another") == 401
    assert not Marker.objects.exists()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"null"])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    assert deliver(body) == 422


def test_without_a_secret_the_address_is_closed(settings: Any) -> None:
    settings.GITHUB_WEBHOOK_SECRET = ""
    assert deliver(DEPLOYMENT, secret="") == 404
    assert Client().get("/hooks/github").status_code == 405


def test_the_secret_token_of_gitlab_is_a_personal_token(operator: Person) -> None:
    ends = timezone.now() + timedelta(days=1)
    _, raw = create_personal_token(operator, "gitlab", ["read", "operate"], ends)
    body = {"object_kind": "deployment", "status": "success", "deployment_id": 5,
            "project": {"name": "shop"}, "ref": "main"}  # fmt: skip
    client = Client(enforce_csrf_checks=True)
    for token, status in ((raw, 201), ("swg_wrong", 401)):
        answer = client.post(
            "/api/v1/markers/gitlab", body, content_type="application/json",
            HTTP_X_GITLAB_TOKEN=token,
        )  # fmt: skip
        assert answer.status_code == status
    assert Marker.objects.get().by == "operator"
